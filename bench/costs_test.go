package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// budget is the most requests, other than events, that a scenario may cost, for each application and beyond that for all together.
// Events come after the outcome and are counted apart.
type budget struct {
	PerApp float64 `json:"perApp"`
	Fixed  int     `json:"fixed"`
	Events float64 `json:"eventsPerApp"`
	// MiB is the most that the agent may have resident until the end of the scenario. 0: any.
	MiB float64 `json:"mostMiB"`
}

// TestCosts runs small versions of the scenarios and counts what Slipway asks of the API server. Counts don't depend on the machine, so
// that a change that makes Slipway cost more fails here. Who makes it cost less lowers budget.json.
func TestCosts(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	var budgets map[string]budget
	data, err := os.ReadFile("budget.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &budgets); err != nil {
		t.Fatal(err)
	}
	t.Chdir("..")
	programs, err := tethered.FindPrograms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := programs.WithControllers(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := slipway(buildSlipway(t))
	const n = 10
	for name, scenario := range map[string]func(context.Context, *arena) ([]result, error){
		"modules": func(ctx context.Context, a *arena) ([]result, error) {
			return modules(ctx, a, e, moduleOptions{n: 100, idle: 10 * time.Second})
		},
		"create": func(ctx context.Context, a *arena) ([]result, error) { return create(ctx, a, e, n) },
		"start":  func(ctx context.Context, a *arena) ([]result, error) { return there(ctx, a, e, n) },
		"monorepo": func(ctx context.Context, a *arena) ([]result, error) {
			return monorepo(ctx, a, e, monorepoOptions{n: n, commits: 3, drifts: 3})
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := measure(t.Context(), programs, options{}, job{name: name, engine: e.name, do: scenario})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got {
				limit, ok := budgets[r.Scenario]
				if !ok {
					t.Errorf("budget.json has no %q", r.Scenario)
					continue
				}
				events := r.Requests["event"]
				requests := r.total() - events
				t.Logf("%s: %d requests, %d events (%s), %.0f MiB", r.Scenario, requests, events, r.verbs(), r.PeakMiB)
				if limit.PerApp > 0 && requests < r.N {
					t.Errorf("%s: only %d requests were counted for %d applications: is the agent's user agent another one?", r.Scenario, requests, r.N)
				}
				if most := int(limit.PerApp*float64(r.N)) + limit.Fixed; requests > most {
					t.Errorf("%s: %d requests for %d applications, more than %d: %s", r.Scenario, requests, r.N, most, r.verbs())
				}
				if most := int(limit.Events * float64(r.N)); events > most {
					t.Errorf("%s: %d events for %d applications, more than %d", r.Scenario, events, r.N, most)
				}
				if limit.MiB > 0 && r.PeakMiB > limit.MiB {
					t.Errorf("%s: %.0f MiB, more than %.0f", r.Scenario, r.PeakMiB, limit.MiB)
				}
			}
		})
	}
}

func buildSlipway(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "slipway")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "./cmd/slipway")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build slipway: %w\n%s", err, out))
	}
	return binary
}
