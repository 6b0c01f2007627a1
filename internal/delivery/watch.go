package delivery

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/slipway-dev/slipway/internal/build/inputs"
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
	t.memory.follow(t.key(), slices.Concat(p.refs, others, inputs.Refs(t.obj)))
	return nil
}

// readInputs reads what the spec refers to in the cluster, once in a task, after a watch on it is there: no change is missed. Both is
// done as the agent, in the Kustomization's namespace.
func (t *task) readInputs(ctx context.Context) error {
	if t.hasRead {
		return nil
	}
	refs := inputs.Refs(t.obj)
	t.memory.alsoFollow(t.key(), refs)
	blind, err := t.local.watcher.EnsureInputs(ctx, t.key().String(), kube.Identity{}, refs)
	if err != nil {
		return err
	}
	t.entry.blind = len(blind) > 0
	if t.inputs, err = inputs.Read(ctx, t.reader, t.obj); err != nil {
		return err
	}
	t.hasRead = true
	return nil
}

// ask reads the health of an object that can't be watched, or that expressions judge which the watch doesn't know.
func (t *task) ask(ctx context.Context, ref kube.Ref) health.Verdict {
	obj, err := t.clients.Get(ctx, t.identity(t.obj), ref)
	switch {
	case err == nil:
		return t.entry.past.rules.AssessOr(obj, t.assess)
	case apierrors.IsNotFound(err):
		return health.Verdict{State: health.Progressing, Message: "does not exist"}
	}
	return health.Verdict{State: health.Unknown, Message: "can't be read: " + err.Error()}
}

// contains tells whether refs name the object, in whatever version.
func contains(refs []kube.Ref, ref kube.Ref) bool {
	return slices.ContainsFunc(refs, func(r kube.Ref) bool { return r.Unversioned() == ref.Unversioned() })
}
