package upgrade

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/kube"
)

// The condition types. The strings are those that kstatus reads.
const (
	readyCondition       = "Ready"
	stalledCondition     = "Stalled"
	reconcilingCondition = "Reconciling"
)

// write puts a decision into the status, in one write that the API server refuses if the other agent was faster.
func (a *attempt) write(ctx context.Context, event protocol.Event, d protocol.Decision) error {
	u := a.u.DeepCopy()
	if u.Status.Phase != d.To {
		u.Status.Phase, u.Status.PhaseSince, u.Status.Deadline = d.To, new(a.now()), nil
	}
	report := false
	for _, mark := range d.Marks {
		switch mark {
		case protocol.StartDeadline:
			u.Status.Deadline = new(metav1.NewTime(a.opts.Now().Add(a.limit(d.To))))
		case protocol.RecordProbe:
			u.Status.Probe = a.probe
		case protocol.RecordHolder:
			u.Status.Holder, u.Status.Term = cmp.Or(a.holder.Slot, u.Spec.From.Slot), a.holder.Term
		case protocol.RecordFailure:
			u.Status.Failure = a.failure
			if u.Status.Failure == nil {
				u.Status.Failure = a.fail(reason(event), d.Why)
			}
		case protocol.ForgetFailure:
			u.Status.Failure = nil
		case protocol.Report:
			report = true
		}
	}
	u.Status.ObservedGeneration = u.Generation
	describe(u, d.Why)
	if err := a.opts.Client.Status().Update(ctx, u); err != nil {
		return ifNotConflict(fmt.Errorf("write the status of AgentUpgrade %s: %w", u.Name, err))
	}
	*a.u = *u
	a.opts.Log.Info("The agent's upgrade goes on", "upgrade", u.Name, "phase", d.To, "found", event, "by", a.by, "why", d.Why)
	if report && a.opts.Events != nil {
		ready := meta.FindStatusCondition(u.Status.Conditions, readyCondition)
		warning := d.To != protocol.Committed && d.To != protocol.Advised
		a.opts.Events.Event(u, nil, warning, ready.Reason, ready.Message)
	}
	return nil
}

// limit is how long a phase may take.
func (a *attempt) limit(state protocol.State) time.Duration {
	switch state {
	case protocol.Probing:
		return durationOr(a.u.Spec.ProbeTimeout, 2*time.Minute)
	case protocol.Starting:
		return a.opts.Limits.Start
	case protocol.HandingOver:
		return a.opts.Limits.HandOver
	case protocol.Proving:
		return durationOr(a.u.Spec.ProveFor, 10*time.Minute)
	default:
		return a.opts.Limits.TakeBack
	}
}

// late says what a phase has waited for in vain.
func (a *attempt) late() string {
	said := fmt.Sprintf("%s took longer than %s", a.state(), a.limit(a.state()))
	if a.waits != "" {
		said += ": " + a.waits
	}
	return said
}

func (a *attempt) fail(because reason, message string) *v1alpha1.Failure {
	const most = 4000 // bytes; the API admits 4096 characters
	return &v1alpha1.Failure{Reason: string(because), Message: kube.Cut(message, most), At: a.now()}
}

// describe sets the conditions as the phase has them: Ready is what people read, the others are for tools.
func describe(u *v1alpha1.AgentUpgrade, why string) {
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		kube.SetCondition(&u.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: u.Generation,
		})
	}
	to, from := fmt.Sprintf("%s in slot %s", u.Spec.To.Version, u.Spec.To.Slot), fmt.Sprintf("%s in slot %s", u.Spec.From.Version, u.Spec.From.Slot)
	reason, message := string(u.Status.Phase), why
	if f := u.Status.Failure; f != nil {
		reason, message = f.Reason, f.Message
	}
	switch u.Status.Phase {
	case protocol.Committed:
		set(readyCondition, metav1.ConditionTrue, reason, "the agent is "+to)
		meta.RemoveStatusCondition(&u.Status.Conditions, stalledCondition)
		meta.RemoveStatusCondition(&u.Status.Conditions, reconcilingCondition)
	case protocol.TakenBack, protocol.Refused, protocol.Advised:
		message = fmt.Sprintf("the agent is still %s: %s", from, message)
		if u.Status.Phase == protocol.Advised {
			message = fmt.Sprintf("the agent is %s, and should be %s: upgrade it with what it was installed with", from, u.Spec.To.Image)
		}
		set(readyCondition, metav1.ConditionFalse, reason, message)
		set(stalledCondition, metav1.ConditionTrue, reason, message)
		meta.RemoveStatusCondition(&u.Status.Conditions, reconcilingCondition)
	default:
		message = fmt.Sprintf("on the way from %s to %s: %s", from, to, message)
		set(readyCondition, metav1.ConditionUnknown, reason, message)
		set(reconcilingCondition, metav1.ConditionTrue, reason, message)
		meta.RemoveStatusCondition(&u.Status.Conditions, stalledCondition)
	}
}

func durationOr(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.Duration
}
