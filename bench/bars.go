package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// bar is what Slipway has to reach on two quiet cores.
type bar struct {
	what string
	must string
	// measure returns what a run found, and whether that is enough; nothing where the run lacks what it takes.
	measure func(r *report) (found string, reached bool)
}

// The bars' limits. MiB are of resident memory at its peak.
const (
	mostTimesFloor  = 1.6
	mostMiB         = 150
	mostStart       = 45.0  // seconds, for a thousand applications
	mostNoopCPU     = 0.003 // CPU-seconds of the engine
	mostIrrelevant  = 5.0   // CPU-seconds of engine and API server
	mostP50, mostP9 = 1.0, 3.0
	mostDriftP99    = 1.0
	mostLoss        = 1.1  // times what the same number takes when all become healthy
	mostIdle        = 1.0  // requests a second
	mostPlanning    = 10.0 // seconds, for a hundred modules
)

func bars() []bar {
	return []bar{
		{"300 applications created while the engine runs, until all are Ready", "≤ 1.6 × the floor, < 150 MiB", func(r *report) (string, bool) {
			one, floor := r.find("create", 300), r.of("floor", "create", 300)
			if one == nil || floor == nil {
				return "", false
			}
			times := one.Seconds / floor.Seconds
			return fmt.Sprintf("%.2f × (%.1f s, %.1f s), %.0f MiB", times, one.Seconds, floor.Seconds, one.PeakMiB), times <= mostTimesFloor && one.PeakMiB < mostMiB
		}},
		{"1000 applications there when the engine starts, until all are Ready", "< 45 s, < 150 MiB", func(r *report) (string, bool) {
			one := r.find("start", 1000)
			if one == nil {
				return "", false
			}
			return fmt.Sprintf("%.1f s, %.0f MiB", one.Seconds, one.PeakMiB), one.Seconds < mostStart && one.PeakMiB < mostMiB
		}},
		{"a reconcile in which nothing changed", "one status write, < 0.003 CPU-s", func(r *report) (string, bool) {
			one := r.find("noop", 100)
			if one == nil {
				return "", false
			}
			n := float64(one.N)
			requests := one.total() - one.Requests["event"] - one.Requests["watch"] // those are of before
			return fmt.Sprintf("%.2f requests, %.4f CPU-s", float64(requests)/n, one.EngineCPU/n), requests <= one.N && one.EngineCPU/n < mostNoopCPU
		}},
		{"a commit that touches none of 1000 Kustomizations, engine and API server", "< 5 CPU-s", func(r *report) (string, bool) {
			one := r.find("irrelevant commit", 1000)
			if one == nil {
				return "", false
			}
			found, reached := fmt.Sprintf("%.1f CPU-s", one.EngineCPU+one.ServerCPU), one.EngineCPU+one.ServerCPU < mostIrrelevant
			if floor := r.of("floor", "irrelevant commit", 1000); floor != nil {
				found += fmt.Sprintf(", the API server's for 1000 bare status writes: %.1f", floor.ServerCPU)
			}
			return found, reached
		}},
		{"a commit that touches one of 1000, from push to Ready", "p50 < 1 s, p99 < 3 s", func(r *report) (string, bool) {
			one := r.find("relevant commit", 1000)
			if one == nil {
				return "", false
			}
			return fmt.Sprintf("%.2f s, %.2f s", one.P50, one.P99), one.P50 < mostP50 && one.P99 < mostP9
		}},
		{"drift, until it is put back", "p99 < 1 s", func(r *report) (string, bool) {
			one := r.find("drift", 1000)
			if one == nil {
				return "", false
			}
			return fmt.Sprintf("%.2f s", one.P99), one.P99 > 0 && one.P99 < mostDriftP99
		}},
		{"a tenth of 100 never becomes healthy: the others, beside 100 that all do", "lose < 10 %", func(r *report) (string, bool) {
			one, whole := r.find("10 % never healthy", 100), r.find("create", 100)
			if one == nil || whole == nil {
				return "", false
			}
			return fmt.Sprintf("%.1f s, %.1f s", one.Seconds, whole.Seconds), one.Seconds < mostLoss*whole.Seconds
		}},
		{"1000 Kustomizations, nothing happens", "< 1 request/s", func(r *report) (string, bool) {
			one := r.find("idle", 1000)
			if one == nil {
				return "", false
			}
			rate := float64(one.total()) / one.Seconds
			return fmt.Sprintf("%.2f requests/s in %.0f s", rate, one.Seconds), rate < mostIdle
		}},
		{"100 modules in one agent, nothing happens", "< 1 request/s, < 150 MiB", func(r *report) (string, bool) {
			one := r.find("modules idle", 100)
			if one == nil {
				return "", false
			}
			rate := float64(one.total()) / one.Seconds
			return fmt.Sprintf("%.2f requests/s in %.0f s, %.0f MiB", rate, one.Seconds, one.PeakMiB), rate < mostIdle && one.PeakMiB < mostMiB
		}},
		{"a new catalogue for 100 modules, until all plans are made", "< 10 s", func(r *report) (string, bool) {
			one := r.find("new catalogue planned", 100)
			if one == nil {
				return "", false
			}
			return fmt.Sprintf("%.1f s", one.Seconds), one.Seconds < mostPlanning
		}},
	}
}

// find is Slipway's result of a scenario.
func (r *report) find(scenario string, n int) *result { return r.of("slipway", scenario, n) }

// of is an engine's result of a scenario: of several, that with the median of the seconds.
func (r *report) of(engine, scenario string, n int) *result {
	var all []*result
	for i, one := range r.Results {
		if one.Engine == engine && one.Scenario == scenario && one.N == n {
			all = append(all, &r.Results[i])
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *result) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return all[(len(all)-1)/2]
}

// verdict is a table of the bars that the run has to do with.
func (r *report) verdict() string {
	var rows strings.Builder
	for _, b := range bars() {
		found, reached := b.measure(r)
		if found == "" {
			continue
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", b.what, b.must, found, map[bool]string{true: "yes", false: "**no**"}[reached])
	}
	if rows.Len() == 0 {
		return ""
	}
	return "\n| Slipway | must reach | measured | reached |\n| --- | --- | --- | --- |\n" + rows.String()
}
