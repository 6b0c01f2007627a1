package attempt

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// blocked makes another Module whose plan has a problem.
func (w *world) blocked(name string, problem v1alpha1.PlanProblem) {
	w.Helper()
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: w.name + "-" + name},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://example.com/" + name}}},
	}
	if err := w.client.Create(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.Background(), m) })
	m.Status = v1alpha1.ModuleStatus{
		Phase: v1alpha1.PhaseBlocked, Plan: &v1alpha1.PlanSummary{At: metav1.Now(), Problems: []v1alpha1.PlanProblem{problem}, ProblemCount: 1},
	}
	if err := w.client.Status().Update(w.Context(), m); err != nil {
		w.Fatal(err)
	}
}

// TestNeighbours: what others must know of a package stands in the status as long as it counts, and whose plans this module was in the way of plan
// anew when it is another one.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blocked("waits", v1alpha1.PlanProblem{Check: plan.CheckDependants, Object: "Module/" + w.name, Message: "is required, and doesn't exist"})
	w.blocked("ill", v1alpha1.PlanProblem{Check: plan.CheckDependants, Object: "Module/" + w.name + "-waits", Message: "is required, and doesn't exist"})
	requires := func(version string) func(*plan.Plan) {
		return func(p *plan.Plan) {
			p.PackageRequires = []v1alpha1.ModuleDependency{{Module: "harbour", Version: version}}
		}
	}
	w.offer("1.0.0", first)
	w.offer("2.0.0", second)
	w.plans(requires(">=1"))
	a := w.start()
	nudged := func() []bool {
		return []bool{a.memory.of(w.name + "-waits").nudged.Swap(false), a.memory.of(w.name + "-ill").nudged.Swap(false)}
	}
	w.want("1.0.0")
	m := a.reach(lifecycle.Installed)
	want := []v1alpha1.ModuleDependency{{Module: "harbour", Version: ">=1"}}
	if diff := cmp.Diff(want, m.Status.Current.Requires); diff != "" || m.Status.Current.Package != "boats" {
		t.Errorf("package %q requires (-want +got):\n%s", m.Status.Current.Package, diff)
	}
	if diff := cmp.Diff([]bool{true, false}, nudged()); diff != "" {
		t.Errorf("planned anew after the installation are the first, not the second (-want +got):\n%s", diff)
	}
	a.Nudge(w.name)
	planned := w.pack.planned()
	w.pack.set(func(p *packages) { p.inputs = v1alpha1.Digest("sha256:" + zeros) })
	if _, err := a.run(func(*v1alpha1.Module) bool { return w.pack.planned() > planned }); err != nil {
		t.Fatal(err)
	}
	a.reach(lifecycle.Installed)
	if diff := cmp.Diff([]bool{false, false}, nudged()); diff != "" {
		t.Errorf("planned anew although nothing changed (-want +got):\n%s", diff)
	}

	w.plans(requires(">=2"))
	w.pack.set(func(p *packages) { p.inputs = "" })
	w.want("2.0.0")
	during, err := a.run(func(m *v1alpha1.Module) bool { return m != nil && m.Status.Attempt != nil })
	if err != nil {
		t.Fatal(err)
	}
	if at := during.Status; at.Current.Requires[0].Version != ">=1" || at.Attempt.Target.Requires[0].Version != ">=2" {
		t.Errorf("during the upgrade %v counts, and %v", at.Current.Requires, at.Attempt.Target.Requires)
	}
	if m := a.reach(lifecycle.Installed); m.Status.Current.Requires[0].Version != ">=2" {
		t.Errorf("after it %v counts", m.Status.Current.Requires)
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
