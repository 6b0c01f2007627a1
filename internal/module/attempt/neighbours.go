package attempt

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// unblock has the modules planned anew whose plans had something against this one as it was: a version, or that it wasn't there.
func (t *task) unblock(ctx context.Context) {
	all := &v1alpha1.ModuleList{}
	if err := t.Modules.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return // their next look finds it
	}
	against := func(p v1alpha1.PlanProblem) bool {
		return p.Check == plan.CheckDependants && p.Object == v1alpha1.ModuleKind+"/"+t.m.Name
	}
	var blocked []string
	for _, m := range all.Items {
		if m.Status.Phase == v1alpha1.PhaseBlocked && m.Status.Plan != nil && slices.ContainsFunc(m.Status.Plan.Problems, against) {
			blocked = append(blocked, m.Name)
		}
	}
	if len(blocked) > 0 {
		t.Nudge(blocked...)
	}
}
