package attempt

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

func (t *task) options() apply.Options {
	return apply.Options{Owner: plan.Owner(t.m.Name), Manager: plan.Manager(t.m.Name)}
}

// put applies objects. It returns whether all of them are in the cluster; if not, why they can't be, or nothing if it is worth another try, which is
// made soon.
func (t *task) put(ctx context.Context, objects []*unstructured.Unstructured) (changes []apply.Change, done bool, err error) {
	changes, done, err = t.tryPut(ctx, objects)
	if err == nil && !done && t.failure == nil {
		t.again(t.settings.Retry)
	}
	return changes, done, err
}

// tryPut is put that leaves it to who calls it when it is tried again.
func (t *task) tryPut(ctx context.Context, objects []*unstructured.Unstructured) (changes []apply.Change, done bool, err error) {
	if len(objects) == 0 {
		return nil, true, nil
	}
	result, err := t.Engine.Apply(ctx, objects, t.options())
	if err == nil {
		return result.Changes, true, nil
	}
	if ctx.Err() != nil {
		return result.Changes, false, ctx.Err()
	}
	t.waits = err.Error()
	if lasting(err) {
		t.failure = t.failed(reasonRefused, err.Error())
	}
	return result.Changes, false, nil
}

// lasting tells whether an error of an apply says that another try would end the same.
func lasting(err error) bool {
	if errors.As(err, new(*apply.Incomplete)) {
		return false
	}
	return slices.ContainsFunc(apply.Errors(err), func(e *apply.Error) bool {
		switch e.Reason {
		case apply.ReasonInvalid, apply.ReasonImmutable, apply.ReasonForbidden, apply.ReasonDenied, apply.ReasonQuota, apply.ReasonOwned:
			return true
		}
		return false
	})
}

// watch has the pool watch all objects of an attempt.
func (t *task) watch(ctx context.Context, revisions ...*revision.Revision) error {
	_, err := t.Pool.Ensure(ctx, t.m.Name, kube.Identity{}, refsOf(revisions...))
	return err
}

// watchAll watches all that the attempt has to do with.
func (t *task) watchAll(ctx context.Context, s *sets) error {
	return t.watch(ctx, s.all()...)
}

// applyNew brings the new revision into the cluster, step by step: the next one begins when all objects of this one are healthy. After a
// restart that begins anew, and costs what looking costs.
func (t *task) applyNew(ctx context.Context) (lifecycle.Event, error) {
	s, event, err := t.loaded(ctx)
	if s == nil {
		return event, err
	}
	for _, st := range s.next.Steps {
		done, err := t.applyStep(ctx, s, st)
		if err == nil && done {
			done = t.healthy(ctx, s.judged(st.Objects))
		}
		if err != nil || !done {
			return t.pending(ctx, st.Name, err)
		}
	}
	t.entry.applied = s.next.Object.Name
	return lifecycle.Done, nil
}

// appliedHere tells whether this process has applied the new revision, and does so if it hasn't: what was applied by one that is gone isn't
// known by what is remembered of it.
func (t *task) appliedHere(ctx context.Context, s *sets) (bool, error) {
	if t.entry.applied == s.next.Object.Name {
		return true, nil
	}
	for _, st := range s.next.Steps {
		if done, err := t.applyStep(ctx, s, st); err != nil || !done {
			return false, err
		}
	}
	t.entry.applied = s.next.Object.Name
	return true, nil
}

// loaded returns the revisions of the attempt, or what follows from it that they can't be read.
func (t *task) loaded(ctx context.Context) (*sets, lifecycle.Event, error) {
	s, err := t.attemptSets(ctx)
	if err == nil {
		return s, "", t.watchAll(ctx, s)
	}
	if unreadable(err) {
		t.failure = t.failed(reasonStorage, err.Error())
		return nil, lifecycle.Failed, nil
	}
	return nil, "", err
}

// unreadable tells whether an error says that a revision can't be read any more, and not only now.
func unreadable(err error) bool {
	return errors.Is(err, revision.ErrLost) || errors.Is(err, revision.ErrCorrupt) || errors.Is(err, revision.ErrTooLarge) || apierrors.IsNotFound(err)
}

// applyStep applies one step, and tells whether all of it is in the cluster.
func (t *task) applyStep(ctx context.Context, s *sets, st revision.Step) (bool, error) {
	objects := st.Objects
	switch st.Name {
	case v1alpha1.StepDefinitions:
		var err error
		if objects, err = t.firstDefinitions(ctx, st.Objects); err != nil || t.failure != nil {
			return false, err
		}
	case v1alpha1.StepRoles:
		objects = widened(objects, s.others(s.next, st.Name)...)
	}
	if _, done, err := t.put(ctx, objects); err != nil || !done {
		return false, err
	}
	if st.Name == v1alpha1.StepDefinitions || st.Name == v1alpha1.StepNamespaces {
		if err := t.watchAll(ctx, s); err != nil { // kinds that weren't served before
			return false, err
		}
	}
	return true, nil
}

// healthy tells whether objects are; if not, it notes what is waited for, or why that is in vain.
func (t *task) healthy(ctx context.Context, objects []*unstructured.Unstructured) bool {
	bad := t.ailing(ctx, objects)
	t.failure = t.lasting(objects, bad)
	if len(bad) > 0 {
		t.waits = list(bad)
	}
	return len(bad) == 0 && t.failure == nil
}

// pending writes which step isn't finished yet, and what it waits for.
func (t *task) pending(ctx context.Context, name v1alpha1.RevisionStep, err error) (lifecycle.Event, error) {
	if err != nil {
		return "", err
	}
	if t.failure != nil {
		return lifecycle.Failed, nil
	}
	t.m.Status.Attempt.Step = name
	return "", nil
}
