package attempt

import (
	"errors"
	"fmt"
	"testing"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

// operation is something that an agent does, and that a crash mustn't leave half done.
type operation struct {
	// before brings the module to where the operation begins, and begin has a person ask for it.
	before func(w *world, a *agent)
	begin  func(w *world)
	// over is when it has come to an end.
	over func(m *v1alpha1.Module) bool
	// check fails unless the end is a right one.
	check func(w *world, m *v1alpha1.Module)
}

func operations() map[string]operation {
	installFirst := func(w *world, a *agent) {
		w.offer("1.0.0", first)
		w.want("1.0.0")
		a.reach(lifecycle.Installed)
		w.launch("ark")
	}
	rests := func(phase lifecycle.State) func(*v1alpha1.Module) bool {
		return func(m *v1alpha1.Module) bool {
			return m != nil && m.Status.Phase == phase && m.Status.ObservedGeneration == m.Generation
		}
	}
	gone := func(m *v1alpha1.Module) bool { return m == nil }
	return map[string]operation{
		"install": {
			before: func(w *world, _ *agent) { w.offer("1.0.0", first) },
			begin:  func(w *world) { w.want("1.0.0") },
			over:   rests(lifecycle.Installed),
			check:  func(w *world, m *v1alpha1.Module) { w.isInstalled(m, "1.0.0"); w.is(first) },
		},
		"upgrade": {
			before: installFirst,
			begin:  func(w *world) { w.offer("2.0.0", second); w.want("2.0.0") },
			over:   rests(lifecycle.Installed),
			check:  func(w *world, m *v1alpha1.Module) { w.isInstalled(m, "2.0.0"); w.is(second); w.afloat("ark") },
		},
		"rollback": {
			before: installFirst,
			begin:  func(w *world) { w.offer("2.0.0", bad); w.want("2.0.0") },
			over:   rests(lifecycle.RolledBack),
			check:  func(w *world, m *v1alpha1.Module) { w.isTakenBack(m, "1.0.0"); w.is(first); w.afloat("ark") },
		},
		"rollback of an installation": {
			before: func(w *world, _ *agent) { w.offer("1.0.0", bad) },
			begin:  func(w *world) { w.want("1.0.0") },
			over:   rests(lifecycle.RolledBack),
			check:  func(w *world, m *v1alpha1.Module) { w.isTakenBack(m, ""); w.empty(false) },
		},
		"uninstall": {
			before: installFirst,
			begin:  func(w *world) { w.delete() },
			over:   gone,
			check:  func(w *world, _ *v1alpha1.Module) { w.empty(true); w.afloat("ark"); w.leavesNothing() },
		},
	}
}

// isTakenBack fails unless an attempt was taken back to a version, and nothing of it is under way.
func (w *world) isTakenBack(m *v1alpha1.Module, version string) {
	w.Helper()
	s := m.Status
	if s.Phase != lifecycle.RolledBack || s.Attempt != nil || (version == "") != (s.Current == nil) || len(s.Rejected) != 1 {
		w.Errorf("want everything taken back: %s, current %+v, attempt %+v, rejected %+v", s.Phase, s.Current, s.Attempt, s.Rejected)
	}
	if version != "" && s.Current != nil && s.Current.Version != version {
		w.Errorf("%s is current, want %s", s.Current.Version, version)
	}
}

// leavesNothing fails if a revision of the module is left.
func (w *world) leavesNothing() {
	w.Helper()
	revisions := &v1alpha1.ModuleRevisionList{}
	if err := w.client.List(w.Context(), revisions); err != nil {
		w.Fatal(err)
	}
	for _, r := range revisions.Items {
		if r.Spec.Module == w.name {
			w.Errorf("revision %s is left", r.Name)
		}
	}
}

// TestCrashAtEveryWrite ends the agent after each write that an operation makes: the API server has done it, and the agent never hears of
// it. Another agent takes over, and everything has to end as if nothing had happened.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for name, op := range operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			writes := 0
			t.Run("undisturbed", func(t *testing.T) { writes, _ = crashAfter(t, op, 0) })
			if writes < 5 && !t.Failed() {
				t.Errorf("the operation makes %d writes: this test sees nothing", writes)
			}
			for k := 1; k <= writes; k++ {
				t.Run(fmt.Sprint(k), func(t *testing.T) { t.Parallel(); crashAfter(t, op, k) })
			}
			// How often a status is written depends on when watches tell, so there may be more writes another time.
			t.Run("more", func(t *testing.T) {
				t.Parallel()
				for k, crashed := writes+1, true; crashed; k++ {
					crashed = false
					t.Run(fmt.Sprint(k), func(t *testing.T) { _, crashed = crashAfter(t, op, k) })
				}
			})
		})
	}
}

// crashAfter lets an agent live until write k of an operation, and another one finish; 0: it lives on. It returns how many writes the first one made
// for the operation, and whether it was stopped by the last of them.
func crashAfter(t *testing.T, op operation, k int) (writes int, crashed bool) {
	w := newWorld(t)
	a := w.start()
	op.before(w, a)

	op.begin(w)
	before := len(a.wire.written())
	if k > 0 {
		a.wire.stopAt(before + k)
	}
	m, err := a.run(op.over)
	a.stop()
	crashed = errors.Is(err, errStopped)
	writes = len(a.wire.written()) - before
	switch {
	case crashed:
		t.Logf("stopped after %s", a.wire.last)
		a = w.start()
		if m, err = a.run(op.over); err != nil {
			t.Fatalf("after a crash at write %d (%v): %v", k, last(a.wire.written()), err)
		}
	case err != nil:
		t.Fatal(err)
	}
	op.check(w, m)
	return writes, crashed
}

func last(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return list[len(list)-1]
}
