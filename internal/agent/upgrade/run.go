package upgrade

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// absent is how often is looked whether the cluster knows AgentUpgrades by now, where it doesn't.
const absent = 10 * time.Minute

// Run drives attempts until ctx ends. While none is under way it costs one watch.
func (d *Driver) Run(ctx context.Context, watcher client.WithWatch) error {
	for ctx.Err() == nil {
		pause, err := d.follow(ctx, watcher)
		if err != nil && ctx.Err() == nil {
			d.opts.Log.Error(err, "Look after the agent's upgrade")
		}
		rest(ctx, pause)
	}
	return nil
}

// follow looks at all attempts once, and then whenever one changes, and every now and then while one is under way, until the watch ends.
func (d *Driver) follow(ctx context.Context, watcher client.WithWatch) (pause time.Duration, err error) {
	list := &v1alpha1.AgentUpgradeList{}
	changes, err := watcher.Watch(ctx, list, client.InNamespace(d.opts.Namespace))
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return absent, nil
	}
	if err != nil {
		return d.opts.Limits.Poll, fmt.Errorf("watch AgentUpgrades: %w", err)
	}
	defer changes.Stop()
	for {
		underWay, err := d.Look(ctx)
		if err != nil && ctx.Err() == nil {
			d.opts.Log.Info("The agent's upgrade can't go on yet", "because", err.Error())
		}
		var tick <-chan time.Time
		if underWay || err != nil {
			tick = time.After(d.opts.Limits.Poll)
		}
		select {
		case <-ctx.Done():
			return 0, nil
		case event, open := <-changes.ResultChan():
			if !open || event.Type == watch.Error {
				return d.opts.Limits.Poll, nil
			}
		case <-tick:
		}
	}
}

// Look looks at all attempts and does what is due. It says whether one is under way.
func (d *Driver) Look(ctx context.Context) (underWay bool, err error) {
	for {
		var all v1alpha1.AgentUpgradeList
		if err := d.opts.Client.List(ctx, &all, client.InNamespace(d.opts.Namespace)); err != nil {
			return false, fmt.Errorf("list AgentUpgrades: %w", err)
		}
		changed := false
		var errs []error
		for _, u := range due(all.Items) {
			stepped, err := d.Step(ctx, u)
			changed = changed || stepped
			if err != nil && !errors.Is(err, errSuperseded) {
				errs = append(errs, fmt.Errorf("AgentUpgrade %s: %w", u.Name, err))
			}
			underWay = underWay || !protocol.Ended(u.Status.Phase)
		}
		if !changed || len(errs) > 0 || ctx.Err() != nil {
			return underWay, errors.Join(errs...)
		}
	}
}

// due lists the attempts that something may be due for: the one that is under way or should be, the oldest first, and those that are
// deleted.
func due(all []v1alpha1.AgentUpgrade) []*v1alpha1.AgentUpgrade {
	var out []*v1alpha1.AgentUpgrade
	var waiting []*v1alpha1.AgentUpgrade
	begun := false
	for i := range all {
		u := &all[i]
		switch state := cmp.Or(u.Status.Phase, protocol.Pending); {
		case protocol.Ended(state):
			if !u.DeletionTimestamp.IsZero() {
				out = append(out, u)
			}
		case state != protocol.Pending || !u.DeletionTimestamp.IsZero():
			begun = begun || state != protocol.Pending
			out = append(out, u)
		default:
			waiting = append(waiting, u)
		}
	}
	if !begun && len(waiting) > 0 {
		out = append(out, slices.MinFunc(waiting, func(a, b *v1alpha1.AgentUpgrade) int {
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
		}))
	}
	return out
}

// Rightful says whose the lease is where it isn't there: what the latest attempt says that has seen a term, which is no lower than what
// the slots were written in. An agent that may not know works all the same.
func (d *Driver) Rightful(ctx context.Context) (term.Tenure, error) {
	t, err := d.rightful(ctx)
	if apierrors.IsForbidden(err) {
		return term.Tenure{}, nil
	}
	return t, err
}

func (d *Driver) rightful(ctx context.Context) (term.Tenure, error) {
	var latest term.Tenure
	var all v1alpha1.AgentUpgradeList
	err := d.opts.Client.List(ctx, &all, client.InNamespace(d.opts.Namespace))
	if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return latest, fmt.Errorf("list AgentUpgrades: %w", err)
	}
	for _, u := range all.Items {
		if u.Status.Holder != "" && u.Status.Term >= latest.Term {
			latest = term.Tenure{Slot: u.Status.Holder, Term: u.Status.Term}
		}
	}
	for _, slot := range []v1alpha1.AgentSlot{v1alpha1.SlotA, v1alpha1.SlotB} {
		s, err := d.slot(ctx, slot)
		if err != nil {
			return latest, err
		}
		if s != nil {
			latest.Term = max(latest.Term, term.Stamped(s))
		}
		if slot == latest.Slot && (s == nil || replicasOf(s) == 0) {
			latest.Slot = "" // it can't come: whoever is there may
		}
	}
	return latest, nil
}

func rest(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}
