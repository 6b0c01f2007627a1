package attempt

import (
	"context"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

// commit lets go of the old revision: objects are stored in the new form, what only the old one had is deleted, roles allow what the new
// one needs and no more. From here there is only forward.
func (t *task) commit(ctx context.Context) (lifecycle.Event, error) {
	s, event, err := t.loaded(ctx)
	if s == nil || err != nil {
		return event, err
	}
	if done, err := t.flip(ctx, step(s.next, v1alpha1.StepDefinitions)); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepDefinitions, err)
	}
	// Definitions stay: with them would go every object of their kinds. A plan that drops one says so.
	if done, err := t.prune(ctx, but(s.dropped(), v1alpha1.StepDefinitions), s); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepWorkloads, err)
	}
	if _, done, err := t.put(ctx, step(s.next, v1alpha1.StepRoles)); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepRoles, err)
	}
	return lifecycle.Done, nil
}

// prune deletes objects that are the module's, without waiting for their end: what hangs there hangs on others. Namespaces go only if nothing
// of others is in them, and they weren't there before the module.
func (t *task) prune(ctx context.Context, refs []kube.Ref, s *sets) (bool, error) {
	namespaces := only(refs, v1alpha1.StepNamespaces)
	_, err := t.Engine.Prune(ctx, but(refs, v1alpha1.StepNamespaces), t.options())
	if err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		t.waits = err.Error()
		if lasting(err) {
			t.failure = t.failed(reasonRefused, err.Error())
		}
		t.again(t.settings.Retry)
		return false, nil
	}
	all := s.all()
	for _, ref := range namespaces {
		if _, err := t.removeNamespace(ctx, ref, refsOf(all...), FoundBy(all...)); err != nil {
			return false, err
		}
	}
	return true, nil
}
