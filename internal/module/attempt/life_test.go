package attempt

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		w.Fatalf("never came true: %s", what)
	}
}

func condition(m *v1alpha1.Module, kind string) metav1.Condition {
	if c := apimeta.FindStatusCondition(m.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// isInstalled fails unless a version is committed, and nothing else is under way.
func (w *world) isInstalled(m *v1alpha1.Module, version string) {
	w.Helper()
	s := m.Status
	if s.Phase != lifecycle.Installed || s.Current == nil || s.Current.Version != version || s.Attempt != nil || s.Target != nil {
		w.Errorf("want %s installed and nothing else: %s, current %+v, target %+v, attempt %+v", version, s.Phase, s.Current, s.Target, s.Attempt)
	}
	if c := condition(m, v1alpha1.ReadyCondition); c.Status != metav1.ConditionTrue || c.Reason != "Installed" {
		w.Errorf("Ready is %+v", c)
	}
}

// TestInstallUpgradeRollback is the thin slice: a version is installed, the next one takes its place, a broken one is taken back.
func TestInstallUpgradeRollback(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", second)
	w.offer("3.0.0", bad)
	w.is(first)
	w.launch("ark")

	w.want("2.0.0")
	m := a.reach(lifecycle.Installed)
	w.isInstalled(m, "2.0.0")
	w.is(second)
	w.afloat("ark")

	w.want("3.0.0")
	m = a.reach(lifecycle.RolledBack)
	w.is(second)
	w.afloat("ark")
	if m.Status.Current.Version != "2.0.0" || m.Status.Attempt != nil {
		t.Errorf("after the rollback: current %+v, attempt %+v", m.Status.Current, m.Status.Attempt)
	}
	if len(m.Status.Rejected) != 1 || m.Status.Rejected[0].Version != "3.0.0" || m.Status.Rejected[0].Reason != reasonDegraded ||
		!strings.Contains(m.Status.Rejected[0].Message, "Deployment/"+w.env.Namespace+"/boats is Degraded") {
		t.Errorf("the rejection doesn't say what failed: %+v", m.Status.Rejected)
	}
	if c := condition(m, v1alpha1.StalledCondition); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "slipway.dev/retry=") {
		t.Errorf("Stalled doesn't say what to do: %+v", c)
	}
	w.revisionsAre(map[string]v1alpha1.RevisionState{"1.0.0": v1alpha1.RevisionArchived, "2.0.0": v1alpha1.RevisionCurrent, "3.0.0": v1alpha1.RevisionRejected})
}

func (w *world) revisionsAre(want map[string]v1alpha1.RevisionState) {
	w.Helper()
	revisions := &v1alpha1.ModuleRevisionList{}
	if err := w.client.List(w.Context(), revisions); err != nil {
		w.Fatal(err)
	}
	got := map[string]v1alpha1.RevisionState{}
	for _, r := range revisions.Items {
		if r.Spec.Module == w.name {
			got[r.Spec.Version] = r.Status.State
		}
	}
	if len(got) != len(want) {
		w.Errorf("revisions are %v, want %v", got, want)
	}
	for version, state := range want {
		if got[version] != state {
			w.Errorf("the revision of %s is %q, want %q", version, got[version], state)
		}
	}
}

// TestRestCostsNothing: once it is installed, looking at a module makes no request, and the interval's look makes no plan.
func TestRestCostsNothing(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	a.reachWhere("it has settled", func(m *v1alpha1.Module) bool { return a.memory.of(w.name).compared.whole })
	plans, writes := w.pack.planned(), len(a.wire.written())
	a.Nudge(w.name)
	for range 5 {
		a.reach(lifecycle.Installed)
	}
	if got := w.pack.planned(); got != plans {
		t.Errorf("%d plans were made although nothing has changed", got-plans)
	}
	if got := a.wire.written(); len(got) != writes {
		t.Errorf("writes at rest: %v", got[writes:])
	}
}

// TestSourceAway: a source that doesn't answer leaves everything as it is, and is asked again.
func TestSourceAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	w.pack.set(func(p *packages) { p.away = errors.New("the registry is closed") })
	a := w.start()
	w.want("1.0.0")
	m := a.reachWhere("it says who doesn't answer", func(m *v1alpha1.Module) bool {
		return strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "the registry is closed")
	})
	if m.Status.Phase != lifecycle.Pending || m.Status.ObservedGeneration != 0 {
		t.Errorf("a plan that wasn't made counts: %s, generation %d", m.Status.Phase, m.Status.ObservedGeneration)
	}
	if n := w.pack.planned(); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	w.pack.set(func(p *packages) { p.away = nil })
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
}

// TestBlocked: a plan with problems is told, and nothing is written.
func TestBlocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.start()
	w.want("9.9.9")
	m := a.reach(lifecycle.Blocked)
	if c := condition(m, v1alpha1.StalledCondition); !strings.Contains(c.Message, "there is no version 9.9.9") {
		t.Errorf("Stalled is %+v", c)
	}
	if m.Status.Plan == nil || m.Status.Plan.ProblemCount != 1 || m.Status.Plan.Content == nil {
		t.Errorf("the plan isn't told: %+v", m.Status.Plan)
	}
	w.empty(false)
	w.delete()
	a.uninstalled()
}

// TestSameWithProblems: what is installed, and goes beyond a grant that was narrowed meanwhile, stays, and the module says so until it is within it.
func TestSameWithProblems(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	look := func(inputs string, problems ...v1alpha1.PlanProblem) {
		w.plans(func(p *plan.Plan) { p.Problems = problems })
		w.pack.set(func(p *packages) { p.inputs = v1alpha1.Digest("sha256:" + strings.Repeat(inputs, 64)) })
		a.Nudge(w.name)
	}
	look("1", v1alpha1.PlanProblem{Check: plan.CheckPermissions, Object: "ClusterRole/boats", Message: "allows more than is granted"})
	m := a.reach(lifecycle.Blocked)
	if c := condition(m, v1alpha1.StalledCondition); !strings.Contains(c.Message, "1.0.0 is installed; Permissions: ClusterRole/boats allows more than is granted") {
		t.Errorf("Stalled is %+v", c)
	}
	w.is(first)
	w.spoil()
	a.reachWhere("drift is still put back", func(*v1alpha1.Module) bool { return w.setting() == first.Image })
	look("2")
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
}

// TestPermit: a good plan waits as long as it isn't allowed, says for what, and begins when it is.
func TestPermit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	allow := false
	a := w.start(func(p *Parts, _ *Settings) {
		p.Permits = permits(func() Permit {
			return Permit{MayStart: allow, WaitsFor: []string{"a good day"}, Person: true}
		})
	})
	w.want("1.0.0")
	m := a.reach(lifecycle.Planned)
	if c := condition(m, v1alpha1.StalledCondition); c.Reason != reasonApproval || !strings.Contains(c.Message, "a good day") || !strings.Contains(c.Message, string(m.Status.Target.Digest)) {
		t.Errorf("Stalled is %+v", c)
	}
	w.empty(false)
	allow = true
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
}

type permits func() Permit

func (p permits) May(context.Context, *v1alpha1.Module, *plan.Plan, time.Time) (Permit, error) {
	return p(), nil
}

// TestPaused: nothing is begun, plans are shown, drift is told and left.
func TestPaused(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", second)
	w.want("2.0.0", func(m *v1alpha1.Module) { m.Spec.Paused = true })
	a.reach(lifecycle.Planned)
	w.is(first)
	w.spoil()
	a.reachWhere("drift is told", func(m *v1alpha1.Module) bool {
		return strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "settings differs from what was installed")
	})
	if got := w.setting(); got != "spoilt" {
		t.Errorf("a paused module corrected drift: %q", got)
	}
	w.want("2.0.0", func(m *v1alpha1.Module) { m.Spec.Paused = false })
	w.isInstalled(a.reach(lifecycle.Installed), "2.0.0")
	w.is(second)
}

// TestRevisionThatCannotBeStored: that says nothing about the package, so nothing is rejected; it is told, also by the next agent.
func TestRevisionThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	w.plans(func(p *plan.Plan) { p.Gate.Deadline = &metav1.Duration{Duration: time.Second} }) // less than the API allows
	a := w.start()
	w.want("1.0.0")
	for range 2 {
		m := a.reach(lifecycle.Blocked)
		if c := condition(m, v1alpha1.StalledCondition); !strings.Contains(c.Message, "deadline is from 10s to 24h") || len(m.Status.Rejected) > 0 {
			t.Errorf("%s; rejected %v", describe(m), m.Status.Rejected)
		}
		a.stop()
		a = w.start()
	}
	w.empty(false)
}

// TestInputsAreWatched: when values or the catalogue change, the module is looked at at once, and not at its next interval.
func TestInputsAreWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	values := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.env.Namespace, Name: "values"}}
	if err := w.client.Create(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	a := w.start()
	w.want("1.0.0", func(m *v1alpha1.Module) {
		m.Spec.ValuesFrom = []v1alpha1.ValuesReference{{Kind: "ConfigMap", Name: "values"}}
	})
	a.reach(lifecycle.Installed)
	w.pack.set(func(p *packages) {
		p.versions["1.0.0"] = second.of // what the new values make of it
		p.inputs = "sha256:" + v1alpha1.Digest(strings.Repeat("1", 64))
	})
	values.Data = map[string]string{"values.yaml": "a: b"}
	if err := w.client.Update(t.Context(), values); err != nil {
		t.Fatal(err)
	}
	a.reachWhere("the new values are in force", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Installed && w.get(mapKind, "extra") != nil
	})
}
