package delivery

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
)

// watch makes sure that what the attempt applies, and what healthChecks name besides, is watched, and wakes this Kustomization. Kinds
// that can't be watched are remembered: they are looked at by the clock.
func (t *task) watch(ctx context.Context, p *past) error {
	owner, id := t.key().String(), t.identity(t.obj)
	unwatched, err := t.watcher.Ensure(ctx, owner, id, p.refs)
	if err != nil {
		return err
	}
	var others []kube.Ref
	for _, ref := range healthChecks(t.obj) {
		if !contains(p.refs, ref) {
			others = append(others, ref)
		}
	}
	blind, err := t.watcher.EnsureNamed(ctx, owner, id, others)
	if err != nil {
		return err
	}
	p.unwatched = len(unwatched)+len(blind) > 0
	t.memory.follow(t.key(), append(slices.Clone(p.refs), others...))
	return nil
}

// ask reads the health of an object that can't be watched, or that expressions judge which the watch doesn't know.
func (t *task) ask(ctx context.Context, ref kube.Ref) health.Verdict {
	obj, err := t.clients.Get(ctx, t.identity(t.obj), ref)
	switch {
	case err == nil:
		return t.entry.past.rules.Assess(obj)
	case apierrors.IsNotFound(err):
		return health.Verdict{State: health.Progressing, Message: "does not exist"}
	}
	return health.Verdict{State: health.Unknown, Message: "can't be read: " + err.Error()}
}

// contains tells whether refs name the object, in whatever version.
func contains(refs []kube.Ref, ref kube.Ref) bool {
	return slices.ContainsFunc(refs, func(r kube.Ref) bool { return r.Unversioned() == ref.Unversioned() })
}
