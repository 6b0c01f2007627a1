package upgrade

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// work does what there is to do in a state, in its order; the next thing only when the one before is done. It is true when all is.
func (a *attempt) work(ctx context.Context, work []protocol.Action) (done bool, err error) {
	if a.state() == protocol.Proving && a.by == protocol.Old {
		return false, a.newCrashes(ctx)
	}
	for _, action := range work {
		done, err := a.do(ctx, action)
		if err != nil || !done {
			return false, err
		}
	}
	return true, nil
}

// do does one thing. It is true once what it is for has been reached.
func (a *attempt) do(ctx context.Context, action protocol.Action) (done bool, err error) {
	from, to := a.u.Spec.From, a.u.Spec.To
	switch action {
	case protocol.RunProbe:
		return a.runProbe(ctx)
	case protocol.StartGuard:
		return a.startGuard(ctx)
	case protocol.StopOld:
		return a.stopOld(ctx)
	case protocol.StartNew:
		return a.startNew(ctx)
	case protocol.GiveLease:
		return false, a.give(ctx, to.Slot)
	case protocol.Prove:
		return a.prove(ctx)
	case protocol.RetireOld:
		return a.onSlot(ctx, from.Slot, scaleDown)
	case protocol.TakeLease:
		return a.takeLease(ctx)
	case protocol.RestoreOld:
		return a.restoreOld(ctx)
	case protocol.AwaitOld:
		a.waits = "no agent of slot " + string(from.Slot) + " has taken the lease yet"
		return a.holder.Slot == from.Slot && a.holder.Taken, nil
	case protocol.RemoveNew:
		return a.removeNew(ctx)
	case protocol.TidyUp:
		return a.tidyUp(ctx)
	}
	return false, fmt.Errorf("%w action %s", protocol.ErrUnknown, action)
}

// give gives the lease to a slot. The next look sees the new term.
func (a *attempt) give(ctx context.Context, slot v1alpha1.AgentSlot) error {
	_, err := term.Give(ctx, a.opts.Leases, a.opts.Name.Agent, a.holder.Tenure, slot)
	a.wrote = a.wrote || err == nil
	return ifNotMoved(err)
}

// onSlot changes a slot if it is there.
func (a *attempt) onSlot(ctx context.Context, slot v1alpha1.AgentSlot, change func(*appsv1.StatefulSet) bool) (done bool, err error) {
	s, err := a.slot(ctx, slot)
	if err != nil || s == nil {
		return err == nil, err
	}
	return a.change(ctx, s, change)
}

// stopOld makes room: the old slot's pods are gone when it is done.
func (a *attempt) stopOld(ctx context.Context) (done bool, err error) {
	done, err = a.onSlot(ctx, a.u.Spec.From.Slot, scaleDown)
	if err != nil || !done {
		return false, err
	}
	s, err := a.slot(ctx, a.u.Spec.From.Slot)
	if err != nil || s == nil {
		return err == nil, err
	}
	a.waits = fmt.Sprintf("%d pods of slot %s are still there", s.Status.Replicas, a.u.Spec.From.Slot)
	return s.Status.ObservedGeneration >= s.Generation && s.Status.Replicas == 0, nil
}

// startNew makes the new slot, or brings one that is left of an earlier attempt to what it should be, and waits until all of it is ready.
func (a *attempt) startNew(ctx context.Context) (done bool, err error) {
	to := a.u.Spec.To
	old, err := a.slot(ctx, a.u.Spec.From.Slot)
	if err != nil {
		return false, err
	}
	if old == nil {
		return false, failf(oldMissing, "slot %s isn't there, so there is nothing to make slot %s of", a.u.Spec.From.Slot, to.Slot)
	}
	want := a.likeness(old, to)
	s, err := a.slot(ctx, to.Slot)
	if err != nil {
		return false, err
	}
	if s == nil {
		term.Stamp(want, a.holder.Term)
		annotate(want, upgradeAnnotation, a.u.Name)
		annotate(want, versionAnnotation, to.Version)
		if err := a.opts.Client.Create(ctx, want); err != nil && !apierrors.IsAlreadyExists(err) {
			return false, fmt.Errorf("make slot %s: %w", to.Slot, err)
		}
		a.wrote = true
		return false, nil
	}
	done, err = a.change(ctx, s, func(s *appsv1.StatefulSet) bool {
		if s.Annotations[upgradeAnnotation] == a.u.Name && replicasOf(s) > 0 && a.imageOf(s.Spec.Template.Spec) == to.Image {
			return false
		}
		annotate(s, upgradeAnnotation, a.u.Name)
		annotate(s, versionAnnotation, to.Version)
		s.Spec.Replicas, s.Spec.Template = want.Spec.Replicas, want.Spec.Template
		return true
	})
	if err != nil || !done {
		return false, err
	}
	a.waits = fmt.Sprintf("%d of %d pods of slot %s are ready", s.Status.ReadyReplicas, replicasOf(s), to.Slot)
	if rolledOut(s) {
		return true, nil
	}
	return false, a.newCrashes(ctx)
}

func rolledOut(s *appsv1.StatefulSet) bool {
	n := replicasOf(s)
	return s.Status.ObservedGeneration >= s.Generation && s.Status.UpdatedReplicas == n && s.Status.ReadyReplicas == n
}

// prove writes what the new agent has shown. Only who leads knows.
func (a *attempt) prove(ctx context.Context) (done bool, err error) {
	if done, err := a.stampSlots(ctx); err != nil || !done {
		return false, err
	}
	if a.opts.Prove == nil {
		return false, nil
	}
	since := a.u.CreationTimestamp.Time
	if a.u.Status.PhaseSince != nil {
		since = a.u.Status.PhaseSince.Time
	}
	checks := a.opts.Prove(ctx, since)
	if !sameChecks(a.u.Status.Proof, checks) {
		u := a.u.DeepCopy()
		u.Status.Proof = checks
		if err := a.opts.Client.Status().Update(ctx, u); err != nil {
			return false, ifNotConflict(fmt.Errorf("write the proof of AgentUpgrade %s: %w", u.Name, err))
		}
		*a.u = *u
	}
	return len(checks) > 0 && !slices.ContainsFunc(checks, func(c v1alpha1.AgentCheck) bool { return !c.Passed }), nil
}

func sameChecks(a, b []v1alpha1.AgentCheck) bool {
	return slices.EqualFunc(a, b, func(a, b v1alpha1.AgentCheck) bool {
		return a.Name == b.Name && a.Passed == b.Passed && a.Message == b.Message
	})
}

// stampSlots writes the term on both slots: what an agent of an earlier term still has under way about them is refused from then on.
func (a *attempt) stampSlots(ctx context.Context) (done bool, err error) {
	for _, slot := range []v1alpha1.AgentSlot{a.u.Spec.From.Slot, a.u.Spec.To.Slot} {
		done, err := a.onSlot(ctx, slot, func(*appsv1.StatefulSet) bool { return false })
		if err != nil || !done {
			return false, err
		}
	}
	return true, nil
}

// takeLease has the lease go to the old slot, and fences the other agent's writes off.
func (a *attempt) takeLease(ctx context.Context) (done bool, err error) {
	from := a.u.Spec.From.Slot
	if a.holder.Slot != from && a.holder.Slot != "" {
		return false, a.give(ctx, from)
	}
	return a.stampSlots(ctx)
}

// restoreOld scales the old slot to what it had. If somebody has removed it, it is made again.
func (a *attempt) restoreOld(ctx context.Context) (done bool, err error) {
	s, err := a.slot(ctx, a.u.Spec.From.Slot)
	if err != nil {
		return false, err
	}
	if s != nil {
		return a.change(ctx, s, scaleUp)
	}
	other, err := a.slot(ctx, a.u.Spec.To.Slot)
	if err != nil {
		return false, err
	}
	if other == nil {
		return false, fmt.Errorf("neither slot is there: run 'slipway install'")
	}
	again := a.likeness(other, a.u.Spec.From)
	term.Stamp(again, a.holder.Term)
	if err := a.opts.Client.Create(ctx, again); err != nil && !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("make slot %s again: %w", a.u.Spec.From.Slot, err)
	}
	return false, nil
}

// removeNew deletes the new slot, if this attempt has made it and it is still as it was seen in this term.
func (a *attempt) removeNew(ctx context.Context) (done bool, err error) {
	s, err := a.slot(ctx, a.u.Spec.To.Slot)
	if err != nil || s == nil {
		return err == nil, err
	}
	if s.Annotations[upgradeAnnotation] != a.u.Name {
		// It was there before, without pods, and this attempt didn't come to change it: it stays.
		return a.change(ctx, s, scaleDown)
	}
	if term.Stamped(s) > a.holder.Term {
		return false, fmt.Errorf("slot %s: %w, in term %d", s.Name, errSuperseded, term.Stamped(s))
	}
	err = a.opts.Client.Delete(ctx, s, client.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion},
		client.PropagationPolicy("Background"))
	if client.IgnoreNotFound(err) != nil {
		return false, ifNotConflict(fmt.Errorf("delete slot %s: %w", a.u.Spec.To.Slot, err))
	}
	return err == nil, nil
}

// tidyUp removes what only helped.
func (a *attempt) tidyUp(ctx context.Context) (done bool, err error) {
	for _, obj := range []client.Object{a.probePod(), a.guardMeta()} {
		err := a.opts.Client.Delete(ctx, obj, client.PropagationPolicy("Background"))
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("delete %s: %w", obj.GetName(), err)
		}
	}
	return true, nil
}
