package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// result is one engine in one scenario.
type result struct {
	Scenario string `json:"scenario"`
	Engine   string `json:"engine"`
	// N is how many applications there were.
	N int `json:"n"`
	// Seconds from the first write, commit or start to the last object in its wanted state.
	Seconds float64 `json:"seconds"`
	// EngineCPU and ServerCPU are CPU-seconds in that time: of the engine's processes, of kube-apiserver.
	EngineCPU float64 `json:"engineCPU"`
	ServerCPU float64 `json:"apiServerCPU"`
	// Requests of the engine in that time, by verb; those of its watches' starts included, leases left out.
	Requests map[string]int `json:"requests,omitempty"`
	// PeakMiB is the most that the engine's processes together had resident until then, each at its own peak.
	PeakMiB float64 `json:"peakMiB,omitempty"`
	// P50, P99 and Max are seconds, where single changes were timed.
	P50 float64 `json:"p50,omitempty"`
	P99 float64 `json:"p99,omitempty"`
	Max float64 `json:"max,omitempty"`
	// Note says what is particular.
	Note string `json:"note,omitempty"`
}

func (r result) total() int {
	n := 0
	for _, count := range r.Requests {
		n += count
	}
	return n
}

// verbs prints the requests, the most frequent first.
func (r result) verbs() string {
	type kind struct {
		verb string
		n    int
	}
	var kinds []kind
	for verb, n := range r.Requests {
		kinds = append(kinds, kind{verb, n})
	}
	slices.SortFunc(kinds, func(a, b kind) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.verb, b.verb)) })
	text := ""
	for i, k := range kinds {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", k.n, k.verb)
	}
	return text
}

// timed puts single changes' durations into r.
func (r *result) timed(all []time.Duration) {
	if len(all) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(all))
	at := func(share float64) float64 {
		return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Seconds()
	}
	r.P50, r.P99, r.Max = at(0.50), at(0.99), sorted[len(sorted)-1].Seconds()
}
