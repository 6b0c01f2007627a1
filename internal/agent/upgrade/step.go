package upgrade

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// Finalizer keeps an AgentUpgrade until nothing of it is under way.
const Finalizer = "slipway.dev/agentupgrade"

// attempt is one look at an AgentUpgrade by one of the two agents.
type attempt struct {
	*Driver
	u      *v1alpha1.AgentUpgrade
	by     protocol.Agent
	holder term.Holder
	// probe is what the probe has found, in Probing.
	probe []v1alpha1.AgentCheck
	// failure is why the attempt fails, where that is known.
	failure *v1alpha1.Failure
	// wrote says that something was written, so that another look is due at once.
	wrote bool
	// waits is what the work waits for, for the message when a deadline passes.
	waits string
}

// Step looks at an attempt once and does what is due. It says whether something has changed, so that another look is due at once.
func (d *Driver) Step(ctx context.Context, u *v1alpha1.AgentUpgrade) (changed bool, err error) {
	holder, err := term.Read(ctx, d.opts.Leases, d.opts.Name.Agent)
	if err != nil {
		return false, err
	}
	a := &attempt{Driver: d, u: u, by: d.agent(u), holder: holder}
	state := a.state()
	if d.opts.Leading == nil && d.silentOther(holder) && !state.Ended() {
		_, err := term.Give(ctx, d.opts.Leases, d.opts.Name.Agent, holder.Tenure, d.opts.Slot)
		return err == nil, ifNotMoved(err)
	}
	if !d.mayAct(state, holder) {
		return false, nil
	}
	for _, event := range a.seen() {
		if changed, err := a.take(ctx, event); changed || err != nil {
			return changed, err
		}
	}
	return a.carryOn(ctx)
}

// silentOther says whether the other slot has the lease and nobody has written it for long.
func (d *Driver) silentOther(holder term.Holder) bool {
	silent := d.silence.Heard(holder.Version, d.opts.Now())
	return silent && holder.Slot != "" && holder.Slot != d.opts.Slot
}

// carryOn does the work of the state, and finds how it ends.
func (a *attempt) carryOn(ctx context.Context) (changed bool, err error) {
	work := protocol.Work(a.state(), a.by, a.facts())
	done, err := a.work(ctx, work)
	var lasting *failedError
	switch {
	case errors.As(err, &lasting):
		a.failure = a.fail(lasting.reason, lasting.message)
		return a.take(ctx, protocol.Failed)
	case err == nil && done && len(work) > 0:
		return a.take(ctx, protocol.Done)
	}
	if dead := a.u.Status.Deadline; dead != nil && a.opts.Now().After(dead.Time) {
		if err != nil {
			a.waits = err.Error()
		}
		a.failure = a.fail(deadlinePassed, a.late())
		return a.take(ctx, protocol.DeadlinePassed)
	}
	return a.wrote && err == nil, err
}

// failedError is work that can't succeed.
type failedError struct {
	reason  reason
	message string
}

func (e *failedError) Error() string { return e.message }

func failf(because reason, format string, args ...any) error {
	return &failedError{because, fmt.Sprintf(format, args...)}
}

func (a *attempt) state() protocol.State {
	if a.u.Status.Phase == "" {
		return protocol.Pending
	}
	return a.u.Status.Phase
}

// seen lists what follows from the object and the lease alone.
func (a *attempt) seen() (events []protocol.Event) {
	if !a.u.DeletionTimestamp.IsZero() {
		events = append(events, protocol.Deleted)
	}
	if digest := a.u.Annotations[v1alpha1.RollbackAnnotation]; digest != "" && digest == digestOf(a.u.Spec.To.Image) {
		events = append(events, protocol.RollbackAsked)
	}
	switch a.holder.Slot {
	case a.u.Spec.To.Slot:
		events = append(events, protocol.NewHolds)
	case a.u.Spec.From.Slot:
		events = append(events, protocol.OldHolds)
	}
	if a.state() == protocol.Pending && a.u.DeletionTimestamp.IsZero() {
		events = append(events, protocol.Due)
	}
	return events
}

// take asks the table about an event, and writes what it says.
func (a *attempt) take(ctx context.Context, event protocol.Event) (changed bool, err error) {
	facts := a.facts()
	if event == protocol.Due && a.by == protocol.Old {
		if facts, err = a.mayBegin(ctx, facts); err != nil {
			return false, err
		}
	}
	d, err := protocol.Decide(a.state(), event, a.by, facts)
	if err != nil || d.Ignored {
		return false, err
	}
	if d.To == protocol.Gone {
		return a.letGo(ctx)
	}
	if d.To == protocol.Probing && !controllerutil.ContainsFinalizer(a.u, Finalizer) {
		return a.keep(ctx)
	}
	return true, a.write(ctx, event, d)
}

func (a *attempt) facts() protocol.Facts {
	return protocol.Facts{Mode: a.u.Spec.Mode, Probed: a.probed(), Leading: a.holder.Slot == "" || a.holder.Slot == a.opts.Slot}
}

// probed says whether the probe has passed.
func (a *attempt) probed() bool {
	for _, check := range a.u.Status.Probe {
		if !check.Passed {
			return false
		}
	}
	return len(a.u.Status.Probe) > 0
}

// keep puts the finalizer on the object, before anything is begun that would have to be taken back.
func (a *attempt) keep(ctx context.Context) (bool, error) {
	before := a.u.DeepCopy()
	controllerutil.AddFinalizer(a.u, Finalizer)
	if err := a.writeMetadata(ctx, before, a.u); err != nil {
		return false, ifNotConflict(fmt.Errorf("keep AgentUpgrade %s: %w", a.u.Name, err))
	}
	return true, nil
}

func (a *attempt) letGo(ctx context.Context) (bool, error) {
	before := a.u.DeepCopy()
	if !controllerutil.RemoveFinalizer(a.u, Finalizer) {
		return false, nil
	}
	if err := a.writeMetadata(ctx, before, a.u); client.IgnoreNotFound(err) != nil {
		return false, ifNotConflict(fmt.Errorf("let go of AgentUpgrade %s: %w", a.u.Name, err))
	}
	return true, nil
}

// ifNotConflict leaves out an error that says only that somebody else was faster: another look shows how things are.
func ifNotConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// ifNotMoved is the same for the lease.
func ifNotMoved(err error) error {
	if errors.Is(err, term.ErrMoved) {
		return nil
	}
	return err
}

func (a *attempt) now() metav1.Time { return metav1.NewTime(a.opts.Now()) }
