package attempt

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

func manual(m *v1alpha1.Module) { m.Spec.Rollback = v1alpha1.RollbackManual }

// frozen brings a module to where its upgrade has failed, and only a person leads on.
func frozen(t *testing.T, change ...func(*plan.Plan)) (*world, *agent, *v1alpha1.Module) {
	t.Helper()
	w, a := running(t, first, manual)
	w.offer("2.0.0", bad)
	w.launch("ark")
	for _, f := range change {
		w.plans(f)
	}
	w.want("2.0.0", manual)
	m := a.reach(lifecycle.Frozen)
	if m.Status.Attempt == nil || m.Status.Attempt.Failure == nil || m.Status.Attempt.Failure.Reason != reasonDegraded {
		t.Fatalf("the attempt doesn't say why it failed: %+v", m.Status.Attempt)
	}
	return w, a, m
}

// TestFrozenTouchesNothing: as long as nobody says so, neither forward nor back; drift isn't corrected either.
func TestFrozenTouchesNothing(t *testing.T) {
	t.Parallel()
	w, a, m := frozen(t)
	if c := condition(m, v1alpha1.StalledCondition); !strings.Contains(c.Message, v1alpha1.RollbackAnnotation) || !strings.Contains(c.Message, v1alpha1.RetryAnnotation) {
		t.Errorf("Stalled doesn't say what to do: %s", c.Message)
	}
	w.spoil()
	settings := kube.Ref{Version: "v1", Kind: "ConfigMap", Namespace: w.env.Namespace, Name: "settings"}
	w.eventually("the agent sees that the settings differ", func() bool { return a.Engine.Drifted(plan.Owner(w.name), settings) })
	writes := len(a.wire.written())
	for range 5 {
		a.reach(lifecycle.Frozen)
	}
	if got := a.wire.written(); len(got) != writes {
		t.Errorf("a frozen module writes: %v", got[writes:])
	}
	if w.get(mapKind, "old") == nil || w.get(mapKind, "extra") == nil {
		t.Error("between two revisions, both are there")
	}
	a.stop()
	a = w.start()
	a.reach(lifecycle.Frozen)
	if w.setting() != "spoilt" {
		t.Error("the next agent touched a frozen module")
	}
}

// TestFrozenRollback: a person takes it back.
func TestFrozenRollback(t *testing.T) {
	t.Parallel()
	w, a, m := frozen(t)
	w.annotate(v1alpha1.RollbackAnnotation, m.Status.Attempt.Target.Digest)
	w.isTakenBack(a.reach(lifecycle.RolledBack), "1.0.0")
	w.is(first)
	w.afloat("ark")
	a.reachWhere("the annotation is gone", func(m *v1alpha1.Module) bool { return m.Annotations[v1alpha1.RollbackAnnotation] == "" })
}

// TestFrozenIrreversible: what the plan says can't be taken back isn't, unless a person forces it.
func TestFrozenIrreversible(t *testing.T) {
	t.Parallel()
	w, a, m := frozen(t, func(p *plan.Plan) { p.Reversible, p.Irreversible = false, []string{"a migration"} })
	w.annotate(v1alpha1.RollbackAnnotation, m.Status.Attempt.Target.Digest)
	a.reachWhere("the refusal is told", func(m *v1alpha1.Module) bool { return w.heard("Warning " + reasonNoRollback) })
	if m := w.module(); m.Status.Phase != lifecycle.Frozen {
		t.Fatalf("it is %s", m.Status.Phase)
	}
	w.annotate(v1alpha1.ForceAnnotation, m.Status.Attempt.Target.Digest)
	w.isTakenBack(a.reach(lifecycle.RolledBack), "1.0.0")
	w.is(first)
}

// TestIrreversibleIsFrozen: the agent itself takes back only what the plan says can be.
func TestIrreversibleIsFrozen(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", bad)
	w.plans(func(p *plan.Plan) { p.Reversible = false })
	w.want("2.0.0")
	a.reach(lifecycle.Frozen)
}

// TestFrozenRetry: once it is mended, a person has it tried again, and it goes through; and the annotation doesn't make it try for ever.
func TestFrozenRetry(t *testing.T) {
	t.Parallel()
	w, a, m := frozen(t)
	digest := m.Status.Attempt.Target.Digest
	w.annotate(v1alpha1.RetryAnnotation, digest)
	a.reachWhere("it is tried again and fails again", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Frozen && len(m.Status.Attempt.Over) == 1 && m.Annotations[v1alpha1.RetryAnnotation] == ""
	})
	for range 5 {
		if m := a.reach(lifecycle.Frozen); len(m.Status.Attempt.Over) != 1 {
			t.Fatalf("it was tried again by itself: %+v", m.Status.Attempt)
		}
	}
	// Another version goes over both.
	w.offer("2.1.0", second)
	w.want("2.1.0", manual)
	w.isInstalled(a.reach(lifecycle.Installed), "2.1.0")
	w.is(second)
	w.afloat("ark")
}

// TestRejectedIsNotRetried: after a rollback nothing is tried again by itself, by the next agent neither; a person has it tried.
func TestRejectedIsNotRetried(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", bad)
	w.want("2.0.0")
	m := a.reach(lifecycle.RolledBack)
	a.stop()
	a = w.start()
	a.Nudge(w.name)
	for range 5 {
		a.reach(lifecycle.RolledBack)
	}
	w.is(first)
	for _, line := range a.wire.written() {
		if strings.HasSuffix(line, "/modulerevisions") {
			t.Errorf("a rejected version was tried again: %s", line)
		}
	}
	digest := m.Status.Rejected[0].Digest
	began := m.Status.Rejected[0].At
	w.annotate(v1alpha1.RetryAnnotation, digest)
	a.reachWhere("it is tried again", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.RolledBack && len(m.Status.Rejected) == 1 && m.Annotations[v1alpha1.RetryAnnotation] == "" &&
			!m.Status.Rejected[0].At.Before(&began)
	})
	w.is(first)
}

// TestDeadline: what doesn't become healthy in time is taken back.
func TestDeadline(t *testing.T) {
	t.Parallel()
	w, a := running(t, boats{Versions: []string{"v1"}, Verbs: []string{"get"}, Maps: []string{"settings"}, Image: "boats:1"})
	w.offer("2.0.0", laggard)
	w.plans(func(p *plan.Plan) { p.Gate.Deadline = &metav1.Duration{Duration: 10 * time.Hour} })
	w.want("2.0.0")
	waits := func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Applying && strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "Deployment/"+w.env.Namespace+"/boats")
	}
	a.reachWhere("it waits for the controller", waits)
	w.clock.pass(9 * time.Hour)
	for range 3 {
		if m := a.reachWhere("it is looked at", func(*v1alpha1.Module) bool { return true }); !waits(m) {
			t.Fatalf("it didn't wait until the deadline: %s", describe(m))
		}
	}
	w.clock.pass(2 * time.Hour)
	m := a.reach(lifecycle.RolledBack)
	if r := m.Status.Rejected[0]; r.Reason != reasonDeadline || !strings.Contains(r.Message, "Deployment/"+w.env.Namespace+"/boats") {
		t.Errorf("it doesn't say what wasn't ready: %+v", r)
	}
}

// TestRollbackAskedWhileApplying: a person ends an attempt that is under way.
func TestRollbackAskedWhileApplying(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", laggard)
	w.want("2.0.0")
	m := a.reachWhere("it waits for the controller", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Applying && m.Status.Attempt.Step == v1alpha1.StepWorkloads &&
			strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "Deployment/"+w.env.Namespace+"/boats")
	})
	w.annotate(v1alpha1.RollbackAnnotation, m.Status.Attempt.Target.Digest)
	m = a.reach(lifecycle.RolledBack)
	w.isTakenBack(m, "1.0.0")
	w.is(first)
	if m.Status.Rejected[0].Reason != reasonAsked {
		t.Errorf("rejected for %+v", m.Status.Rejected[0])
	}
}
