package builtin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/supply"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// Reasons of conditions beside the names of the phases. docs/modules.md lists them.
const (
	// reasonAdvised: another version is wanted, and somebody else has to see to it.
	reasonAdvised = "Advised"
	// reasonApproval: what is wanted waits for a person.
	reasonApproval = "ApprovalNeeded"
	// reasonSource: the registry didn't answer.
	reasonSource = "SourceUnavailable"
)

// runs says what works now.
func runs(state State, current *v1alpha1.RevisionReference) string {
	return fmt.Sprintf("%s runs in slot %s", current.Version, state.Running.Slot)
}

// aim notes what is wanted, with the gist of a plan: an agent that isn't good is taken back.
func (t *task) aim(target v1alpha1.RevisionReference) {
	s := &t.m.Status
	s.Target = &target
	if s.Plan == nil || s.Plan.Digest != target.Digest {
		s.Plan = &v1alpha1.PlanSummary{Digest: target.Digest, At: t.now}
	}
	s.Plan = &v1alpha1.PlanSummary{Digest: target.Digest, At: s.Plan.At, Reversible: true}
}

// may asks whether the upgrade may begin now.
func (t *task) may(choice supply.ImageChoice) wanted.Permit {
	return wanted.May(t.start(choice, t.m.Annotations[v1alpha1.ApproveAnnotation]))
}

func (t *task) start(choice supply.ImageChoice, approved string) wanted.Start {
	return wanted.Start{
		Module: t.m.Name, Upgrade: t.m.Spec.Upgrade, Version: choice.Version, Digest: choice.Digest, Published: choice.Published,
		Declared: true, Reversible: true, Approved: approved, Paused: t.m.Spec.Paused, Now: t.now.Time,
	}
}

// wait says what an upgrade waits for.
func (t *task) wait(ctx context.Context, state State, choice supply.ImageChoice, permit wanted.Permit) (time.Duration, error) {
	s, next := &t.m.Status, t.interval()
	s.Plan.WaitsFor = permit.WaitsFor
	if permit.Next != nil {
		s.Plan.NextAttempt = &metav1.Time{Time: *permit.Next}
		next = min(next, max(permit.Next.Sub(t.now.Time), time.Second))
	}
	w := words{reason: string(v1alpha1.PhasePlanned), reconciling: true}
	w.message = fmt.Sprintf("%s; %s is planned, and waits for %s", runs(state, s.Current), s.Target.Version, strings.Join(permit.WaitsFor, ", "))
	if approved := wanted.May(t.start(choice, string(choice.Digest))); len(approved.WaitsFor) < len(permit.WaitsFor) {
		w.reason, w.reconciling, w.stalled = reasonApproval, false, true // with an approval it might begin
	}
	return next, t.settle(ctx, v1alpha1.PhasePlanned, w)
}

// blocked says what has to be solved first.
func (t *task) blocked(ctx context.Context, state State, check, message string) error {
	s := &t.m.Status
	if check == "Resolve" {
		s.Target = nil
	}
	p := &v1alpha1.PlanSummary{At: t.now, Problems: []v1alpha1.PlanProblem{{Check: check, Message: message}}, ProblemCount: 1}
	if was := t.before.Status.Plan; was != nil && slices.Equal(was.Problems, p.Problems) {
		p.At = was.At
	}
	if s.Target != nil {
		p.Digest, p.Reversible = s.Target.Digest, true
	}
	s.Plan = p
	return t.settle(ctx, v1alpha1.PhaseBlocked, words{reason: string(v1alpha1.PhaseBlocked), stalled: true, message: fmt.Sprintf("%s; %s: %s", runs(state, s.Current), check, message)})
}

// unanswered says who didn't answer. What was known stays.
func (t *task) unanswered(ctx context.Context, state State, why *plan.Unavailable) error {
	s := &t.m.Status
	text := "can't look for other versions: " + why.Error()
	if s.Target != nil {
		if failed := t.rejection(state, s.Target.Digest); failed != nil {
			return t.settle(ctx, v1alpha1.PhaseRolledBack, words{reason: string(v1alpha1.PhaseRolledBack), stalled: true, message: t.rolledBack(state, failed) + "; " + text})
		}
		if s.Target.Digest != s.Current.Digest && s.Phase == v1alpha1.PhasePlanned {
			return t.settle(ctx, v1alpha1.PhasePlanned, words{reason: reasonSource, reconciling: true, message: runs(state, s.Current) + "; " + s.Target.Version + " is planned; " + text})
		}
	}
	s.Target, s.Plan = nil, nil
	return t.settle(ctx, v1alpha1.PhaseInstalled, words{reason: string(v1alpha1.PhaseInstalled), ready: true, message: runs(state, s.Current) + "; " + text})
}

// rolledBack says what failed, and that it isn't tried again.
func (t *task) rolledBack(state State, why *v1alpha1.Failure) string {
	s := &t.m.Status
	return fmt.Sprintf("%s, and %s failed (%s: %s). It isn't tried again by itself: want another version, or kubectl annotate module %s %s=%s --overwrite",
		runs(state, s.Current), s.Target.Version, why.Reason, why.Message, t.m.Name, v1alpha1.RetryAnnotation, s.Target.Digest)
}
