package upgrade

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// UnderWayError says that an attempt is under way, and somebody wants what can't be done beside it.
type UnderWayError struct {
	Name  string
	Phase v1alpha1.AgentUpgradePhase
}

func (e *UnderWayError) Error() string {
	return fmt.Sprintf("AgentUpgrade %s is under way (%s): wait until it has ended, or take it back with 'slipway agent rollback'", e.Name, e.Phase)
}

// Idle is an [UnderWayError] if an attempt is under way.
func (d *Driver) Idle(ctx context.Context) error {
	all, err := d.Attempts(ctx)
	if err != nil {
		return err
	}
	for _, u := range all {
		if u.Status.Phase != "" && u.Status.Phase != protocol.Pending && !u.Status.Phase.Ended() {
			return &UnderWayError{Name: u.Name, Phase: u.Status.Phase}
		}
	}
	return nil
}

// Elsewhere says whether the other slot than the driver's has the lease.
func (d *Driver) Elsewhere(ctx context.Context) (bool, error) {
	holder, err := term.Read(ctx, d.opts.Leases, d.opts.Name.Agent)
	return holder.Slot != "" && holder.Slot != d.opts.Slot, err
}

// Settle has the driver's slot work, because a person has installed it: it gets the lease, and an agent there takes it. If nobody does, the
// other slot takes it back by itself, and ctx ends this.
func (d *Driver) Settle(ctx context.Context) error {
	for {
		holder, err := term.Read(ctx, d.opts.Leases, d.opts.Name.Agent)
		if err != nil {
			return err
		}
		switch {
		case holder.Slot != "" && holder.Slot != d.opts.Slot:
			if _, err := term.Give(ctx, d.opts.Leases, d.opts.Name.Agent, holder.Tenure, d.opts.Slot); ifNotMoved(err) != nil {
				return err
			}
		case holder.Taken:
			return nil
		}
		rest(ctx, d.opts.Limits.Poll)
		if ctx.Err() != nil {
			return fmt.Errorf("no agent of slot %s has taken the lease: %w", d.opts.Slot, ctx.Err())
		}
	}
}

// Evict gives the lease to the driver's slot and removes the other one, whoever works there: an agent that doesn't elect takes its place.
func (d *Driver) Evict(ctx context.Context) error {
	holder, err := term.Read(ctx, d.opts.Leases, d.opts.Name.Agent)
	if err != nil {
		return err
	}
	if _, err := term.Give(ctx, d.opts.Leases, d.opts.Name.Agent, holder.Tenure, d.opts.Slot); err != nil {
		return err
	}
	return d.RemoveOther(ctx)
}

// RemoveOther removes the other slot than the driver's, if that has the lease.
func (d *Driver) RemoveOther(ctx context.Context) error {
	for {
		holder, err := term.Read(ctx, d.opts.Leases, d.opts.Name.Agent)
		if err != nil {
			return err
		}
		if holder.Slot != "" && holder.Slot != d.opts.Slot {
			return nil
		}
		s, err := d.slot(ctx, other(d.opts.Slot))
		if err != nil || s == nil {
			return err
		}
		err = d.opts.Client.Delete(ctx, s, client.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion}, client.PropagationPolicy("Background"))
		if !apierrors.IsConflict(err) {
			return client.IgnoreNotFound(err)
		}
	}
}

// Release takes the finalizer from all attempts, so that they can be deleted when there is no agent any more.
func (d *Driver) Release(ctx context.Context) error {
	all, err := d.Attempts(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i := range all {
		before := all[i].DeepCopy()
		if controllerutil.RemoveFinalizer(&all[i], Finalizer) {
			errs = append(errs, client.IgnoreNotFound(d.opts.Client.Patch(ctx, &all[i], client.MergeFrom(before))))
		}
	}
	return errors.Join(errs...)
}
