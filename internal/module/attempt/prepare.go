package attempt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// storeRevision stores what was planned as a new revision. One that was stored before a crash, and whose attempt never began, is nobody's,
// and collected later.
func (t *task) storeRevision(ctx context.Context) (lifecycle.Event, error) {
	p := t.entry.plan
	all, err := t.Store.List(ctx, t.m.Name)
	if err != nil {
		return "", err
	}
	number := int64(1)
	if len(all) > 0 {
		number = all[0].Spec.Number + 1
	}
	before, err := t.beforeOf(ctx, p)
	if err != nil {
		return t.notStored(err)
	}
	content, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("write the plan as JSON: %w", err)
	}
	rev := t.newRevision(p, number)
	if err := t.Store.Save(ctx, rev, p.Steps, before, content); err != nil {
		return t.notStored(err)
	}
	t.m.Status.Target = p.Reference()
	t.m.Status.Target.Digest, t.m.Status.Target.Revision = rev.Spec.Digest, rev.Name
	return lifecycle.Done, nil
}

// notStored tells failures that last from those that are worth another try.
func (t *task) notStored(err error) (lifecycle.Event, error) {
	if errors.Is(err, revision.ErrTooLarge) || errors.Is(err, revision.ErrCorrupt) || errors.Is(err, revision.ErrLost) ||
		apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err) {
		t.failure = t.failed(reasonStorage, err.Error())
		return lifecycle.Failed, nil
	}
	return "", err
}

func (t *task) newRevision(p *plan.Plan, number int64) *v1alpha1.ModuleRevision {
	rev := &v1alpha1.ModuleRevision{
		ObjectMeta: metav1.ObjectMeta{Name: revision.Name(t.m.Name, number)},
		Spec: v1alpha1.ModuleRevisionSpec{
			Module: t.m.Name, Number: number, Version: p.Version, Package: p.Package, Namespace: p.Namespace,
			Reversible: p.Reversible, Permissions: p.Permissions, Gate: p.Gate,
		},
	}
	if c := t.m.Status.Current; c != nil {
		rev.Spec.Previous = c.Revision
	}
	return rev
}

// beforeOf is what the plan found, and the namespaces that were found when earlier revisions were planned, also those of an attempt that this one
// goes over: those were there before the module, and have to stay when it goes, however many revisions there were since.
func (t *task) beforeOf(ctx context.Context, p *plan.Plan) ([]*unstructured.Unstructured, error) {
	var earlier []string
	if c := t.m.Status.Current; c != nil {
		earlier = append(earlier, c.Revision)
	}
	if a := t.m.Status.Attempt; a != nil {
		earlier = append(append(earlier, a.Over...), a.Target.Revision)
	}
	before := slices.Clone(p.Before)
	have := map[kube.Ref]bool{}
	for _, o := range before {
		have[kube.RefOf(o).Unversioned()] = true
	}
	for _, name := range earlier {
		r, err := t.Store.Load(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, o := range r.Before {
			if ref := kube.RefOf(o).Unversioned(); ref.GroupKind() == namespaceKind && !have[ref] {
				have[ref] = true
				before = append(before, o)
			}
		}
	}
	return before, nil
}
