package attempt

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// facts are how things are, for the table.
func (t *task) facts(ctx context.Context) (lifecycle.Facts, error) {
	s := &t.m.Status
	f := lifecycle.Facts{
		Installed: s.Current != nil, Unsettled: s.Attempt != nil,
		Automatic: t.m.Spec.Rollback != v1alpha1.RollbackManual, Paused: t.m.Spec.Paused,
		MayStart: t.permit.MayStart && !t.m.Spec.Paused,
	}
	notes := t.m.Annotations
	if a := s.Attempt; a != nil {
		f.CommitBegun = a.CommitBegan != nil
		f.NoWayBack = f.CommitBegun || a.OverCommitted
		f.Forced = notes[v1alpha1.ForceAnnotation] == string(a.Target.Digest)
		var err error
		if f.Reversible, err = t.reversible(ctx, a); err != nil {
			return f, err
		}
	}
	if p := t.entry.plan; p != nil && p.Digest != "" {
		rejected := rejection(t.m, p.Digest)
		f.Rejected = rejected != nil && rejected.Generation == t.m.Generation
		f.Approved = notes[v1alpha1.ApproveAnnotation] == string(p.Digest) || notes[v1alpha1.RetryAnnotation] == string(p.Digest) ||
			s.Attempt != nil && t.m.Generation > s.Attempt.Generation
	}
	return f, nil
}

// reversible tells whether an attempt, and those that it goes over, can be taken back, as their plans say.
func (t *task) reversible(ctx context.Context, a *v1alpha1.Attempt) (bool, error) {
	if s := t.entry.sets; s != nil { // read already
		return !slices.ContainsFunc(append(slices.Clone(s.over), s.next), func(r *revision.Revision) bool { return !r.Object.Spec.Reversible }), nil
	}
	for _, name := range append([]string{a.Target.Revision}, a.Over...) {
		rev := &v1alpha1.ModuleRevision{}
		if err := t.Direct.Get(ctx, client.ObjectKey{Name: name}, rev); err != nil {
			if client.IgnoreNotFound(err) == nil {
				return false, nil // without it there is nothing to take back to
			}
			return false, fmt.Errorf("read revision %s: %w", name, err)
		}
		if !rev.Spec.Reversible {
			return false, nil
		}
	}
	return true, nil
}
