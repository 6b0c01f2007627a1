package attempt

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// makePlan finds out what an attempt would do, and notes the gist of it.
func (t *task) makePlan(ctx context.Context) (lifecycle.Event, error) {
	asked, leave, free := t.enterLane()
	if !free {
		return "", errNoLane
	}
	defer leave()
	t.entry.plan, t.entry.due, t.permit = nil, false, Permit{}
	t.watchInputs(ctx)
	within, cancel := context.WithTimeout(ctx, t.settings.PlanWithin)
	defer cancel()
	p, err := t.Planner.Plan(within, t.m.DeepCopy(), asked)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		t.putOff(err)
		return lifecycle.PlanUnavailable, nil
	}
	t.answered()
	t.entry.look.at = t.now
	t.again(t.interval())
	t.m.Status.ObservedGeneration = p.Generation
	t.m.Status.LastHandledReconcileAt = t.m.Annotations[meta.ReconcileRequestAnnotation]
	// Over an attempt that isn't settled even the current version has something to do: what that one has brought has to go.
	if p.Same && p.Good() && t.m.Status.Attempt == nil {
		t.m.Status.Target, t.m.Status.Plan = nil, t.summary(p)
		return lifecycle.PlanSame, nil
	}
	t.m.Status.Target = nil
	if p.Digest != "" {
		t.m.Status.Target = p.Reference()
	}
	t.m.Status.Plan = t.summary(p)
	if err := t.keepPlan(ctx, p); err != nil {
		return "", err
	}
	if !p.Good() {
		return lifecycle.PlanBlocked, nil
	}
	t.entry.plan = p
	if t.permit, err = t.may(ctx, p); err != nil {
		return "", err
	}
	t.noteWaiting()
	return lifecycle.PlanGood, nil
}

// summary is the gist of a plan; the one that there was, if it says the same.
func (t *task) summary(p *plan.Plan) *v1alpha1.PlanSummary {
	is, was := p.Summary(), t.m.Status.Plan
	if was == nil {
		return is
	}
	compared := was.DeepCopy()
	compared.At, compared.Content, compared.WaitsFor, compared.NextAttempt = is.At, nil, nil, nil
	if apiequality.Semantic.DeepEqual(compared, is) { // what is empty isn't there when it comes back from the API server
		is.At, is.Content = was.At, was.Content
	}
	return is
}

// keepPlan stores the whole plan, if it isn't as it was.
func (t *task) keepPlan(ctx context.Context, p *plan.Plan) error {
	if t.m.Status.Plan.Content != nil {
		return nil
	}
	content, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write the plan as JSON: %w", err)
	}
	ref, err := t.Store.Put(ctx, content)
	if err != nil {
		return fmt.Errorf("store the plan: %w", err)
	}
	t.m.Status.Plan.Content = &ref
	return nil
}

// may asks whether a plan may be carried out now.
func (t *task) may(ctx context.Context, p *plan.Plan) (Permit, error) {
	if t.Permits == nil {
		return Permit{MayStart: true}, nil
	}
	permit, err := t.Permits.May(ctx, t.m, p, t.now)
	if err != nil {
		return permit, fmt.Errorf("ask whether the plan may be carried out: %w", err)
	}
	return permit, nil
}

// noteWaiting writes down what a good plan waits for.
func (t *task) noteWaiting() {
	s := t.m.Status.Plan
	if s == nil {
		return
	}
	s.WaitsFor, s.NextAttempt = nil, nil
	if t.permit.MayStart {
		return
	}
	s.WaitsFor = t.permit.WaitsFor[:min(len(t.permit.WaitsFor), 16)]
	if !t.permit.Next.IsZero() {
		s.NextAttempt = &metav1.Time{Time: t.permit.Next}
		t.again(t.permit.Next.Sub(t.now))
	}
}
