package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
			var over []string
			for try := range tries {
				got, err := measure(t.Context(), programs, options{}, job{name: name, engine: e.name, do: scenario})
				if err != nil {
					t.Fatal(err)
				}
				over = over[:0]
				for _, r := range got {
					t.Logf("%d. try, %s: %d requests, %d events (%s), %.0f MiB", try+1, r.Scenario, r.total()-r.Requests["event"], r.Requests["event"], r.verbs(), r.PeakMiB)
					over = append(over, budgets[r.Scenario].over(r)...)
				}
				if len(over) == 0 {
					return
				}
			}
			t.Error(strings.Join(over, "\n"))
		})
	}
}

// tries is how often a scenario that costs too much is run. On a machine that is busy with something else it costs more, as Slipway writes what
// isn't over after some seconds. What a change of Slipway costs, it costs each time.
const tries = 3

// over says what of a result is beyond the budget.
func (b budget) over(r result) (out []string) {
	add := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%s, %d applications: ", r.Scenario, r.N)+fmt.Sprintf(format, args...))
	}
	if b == (budget{}) {
		add("budget.json has none")
		return out
	}
	events := r.Requests["event"]
	requests := r.total() - events
	if b.PerApp > 0 && requests < r.N {
		add("only %d requests were counted: is the agent's user agent another one?", requests)
	}
	if most := int(b.PerApp*float64(r.N)) + b.Fixed; requests > most {
		add("%d requests, more than %d: %s", requests, most, r.verbs())
	}
	if most := int(b.Events * float64(r.N)); events > most {
		add("%d events, more than %d", events, most)
	}
	if b.MiB > 0 && r.PeakMiB > b.MiB {
		add("%.0f MiB, more than %.0f", r.PeakMiB, b.MiB)
	}
	return out
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

// TestOver: each of the bounds is one.
func TestOver(t *testing.T) {
	within := budget{PerApp: 2, Fixed: 1, Events: 1, MiB: 100}
	for reason, tc := range map[string]struct {
		budget budget
		result result
		want   string
	}{
		"what is allowed":        {budget: within, result: result{Requests: map[string]int{"patch": 21, "event": 10}, PeakMiB: 100}},
		"a request too many":     {budget: within, result: result{Requests: map[string]int{"patch": 22}}, want: "22 requests, more than 21"},
		"an event too many":      {budget: within, result: result{Requests: map[string]int{"patch": 20, "event": 11}}, want: "11 events, more than 10"},
		"too much memory":        {budget: within, result: result{Requests: map[string]int{"patch": 20}, PeakMiB: 101}, want: "101 MiB, more than 100"},
		"somebody else counted":  {budget: within, result: result{Requests: map[string]int{"patch": 9}}, want: "only 9 requests"},
		"nobody has allowed any": {result: result{Requests: map[string]int{"patch": 20}}, want: "budget.json has none"},
	} {
		t.Run(reason, func(t *testing.T) {
			tc.result.N, tc.result.Scenario = 10, "create"
			got := strings.Join(tc.budget.over(tc.result), "\n")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
