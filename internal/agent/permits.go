package agent

import (
	"context"
	"fmt"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// permits asks package wanted whether a plan may be carried out, with what the cluster says of the module and the others.
type permits struct {
	cached client.Reader // of Modules
	direct client.Reader // of ModuleRevisions
}

// May implements attempt.Permits.
func (p *permits) May(ctx context.Context, m *v1alpha1.Module, of *plan.Plan, now time.Time) (attempt.Permit, error) {
	same, err := p.samePackage(ctx, m, of)
	if err != nil {
		return attempt.Permit{}, err
	}
	others, err := p.others(ctx, m, of)
	if err != nil {
		return attempt.Permit{}, err
	}
	start := wanted.Start{
		Module: m.Name, Upgrade: m.Spec.Upgrade, Version: of.Version, Digest: of.Digest, Published: of.Published,
		Declared: of.Declared, Reversible: of.Reversible, First: m.Status.Current == nil, SamePackage: same,
		Unsettled: m.Status.Attempt != nil, Approved: m.Annotations[v1alpha1.ApproveAnnotation], Paused: m.Spec.Paused, Others: others, Now: now,
	}
	answer := wanted.May(start)
	out := attempt.Permit{MayStart: answer.MayStart, WaitsFor: answer.WaitsFor}
	if answer.Next != nil {
		out.Next = *answer.Next
	}
	// A person is needed where nothing but an approval is missing: with it, it might begin.
	start.Approved = string(of.Digest)
	approved := wanted.May(start)
	out.Person = !answer.MayStart && len(approved.WaitsFor) < len(answer.WaitsFor)
	return out, nil
}

// samePackage tells whether the package of a plan is the installed one, byte by byte.
func (p *permits) samePackage(ctx context.Context, m *v1alpha1.Module, of *plan.Plan) (bool, error) {
	c := m.Status.Current
	if c == nil || c.Version != of.Version {
		return false, nil
	}
	current := &v1alpha1.ModuleRevision{}
	if err := p.direct.Get(ctx, client.ObjectKey{Name: c.Revision}, current); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return false, nil
		}
		return false, fmt.Errorf("read revision %s: %w", c.Revision, err)
	}
	return current.Spec.Package.Digest == of.Package.Digest, nil
}

// others says which other modules have to come first. They aren't copied for it: a hundred modules ask for a hundred.
func (p *permits) others(ctx context.Context, m *v1alpha1.Module, of *plan.Plan) ([]string, error) {
	list := &v1alpha1.ModuleList{}
	if err := p.cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	all := make([]wanted.Module, 0, len(list.Items))
	for i := range list.Items {
		one := moduleOf(&list.Items[i])
		if one.Name == m.Name {
			one.PackageRequires = of.PackageRequires // of the version that is to come
		}
		all = append(all, one)
	}
	return wanted.Waits(m.Name, all), nil
}

// moduleOf is what others must know of a module.
func moduleOf(m *v1alpha1.Module) wanted.Module {
	out := wanted.Of(m)
	if m.Status.Current != nil {
		ready := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition)
		out.Healthy = ready == nil || ready.Reason != attempt.ReasonUnhealthy
	}
	return out
}
