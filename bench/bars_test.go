package main

import (
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	r := &report{Results: []result{
		{Scenario: "create", Engine: "floor", N: 300, Seconds: 10},
		{Scenario: "create", Engine: "flux", N: 300, Seconds: 15, PeakMiB: 1},
		{Scenario: "create", Engine: "slipway", N: 300, Seconds: 90, PeakMiB: 149},
		{Scenario: "create", Engine: "slipway", N: 300, Seconds: 15, PeakMiB: 149},
		{Scenario: "create", Engine: "slipway", N: 300, Seconds: 1, PeakMiB: 149},
		{Scenario: "idle", Engine: "slipway", N: 1000, Seconds: 60, Requests: map[string]int{"get": 90}},
		{Scenario: "drift", Engine: "slipway", N: 1000},
	}}
	got := r.verdict()
	for _, want := range []string{"1.50 × (15.0 s, 10.0 s), 149 MiB | yes", "1.50 requests/s in 60 s | **no**", "0.00 s | **no**"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Count(got, "\n") != 3+3 {
		t.Errorf("what was not measured has no verdict:\n%s", got)
	}
}
