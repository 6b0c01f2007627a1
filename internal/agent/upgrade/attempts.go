package upgrade

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

// kept is how many attempts that have ended are kept.
const kept = 10

// Attempts lists all attempts; none where the cluster doesn't know the kind.
func (d *Driver) Attempts(ctx context.Context) ([]v1alpha1.AgentUpgrade, error) {
	var all v1alpha1.AgentUpgradeList
	err := d.opts.Client.List(ctx, &all, client.InNamespace(d.opts.Namespace))
	if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("list AgentUpgrades: %w", err)
	}
	return all.Items, nil
}

// Latest finds an attempt by its name, or, without one, the last that could be taken back.
func (d *Driver) Latest(ctx context.Context, name string) (*v1alpha1.AgentUpgrade, error) {
	all, err := d.Attempts(ctx)
	if err != nil {
		return nil, err
	}
	var found []*v1alpha1.AgentUpgrade
	for i := range all {
		u := &all[i]
		if name != "" && u.Name != name {
			continue
		}
		switch u.Status.Phase {
		case protocol.Probing, protocol.Starting, protocol.HandingOver, protocol.Proving, protocol.TakingBack, protocol.Committing, protocol.Committed:
			found = append(found, u)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no upgrade of the agent that could be taken back in namespace %s", d.opts.Namespace)
	}
	return slices.MaxFunc(found, func(a, b *v1alpha1.AgentUpgrade) int {
		return cmp.Or(cmp.Compare(a.Status.Term, b.Status.Term), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	}), nil
}

// prune deletes the attempts that ended long ago, if this process leads: all but the newest ones, and the last that was committed, which a
// person may still take back. The next look lets go of them. Where that isn't allowed, they stay.
func (d *Driver) prune(ctx context.Context, all []v1alpha1.AgentUpgrade) {
	if d.opts.Leading == nil || !d.opts.Leading() {
		return
	}
	for _, u := range outdated(all) {
		err := d.opts.Client.Delete(ctx, u, client.Preconditions{UID: &u.UID, ResourceVersion: &u.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			d.opts.Log.Info("An attempt that ended long ago can't be deleted", "upgrade", u.Name, "because", err.Error())
			return
		}
	}
}

// outdated lists the attempts that needn't be kept.
func outdated(all []v1alpha1.AgentUpgrade) []*v1alpha1.AgentUpgrade {
	var ended []*v1alpha1.AgentUpgrade
	for i := range all {
		if u := &all[i]; u.Status.Phase.Ended() && u.DeletionTimestamp.IsZero() {
			ended = append(ended, u)
		}
	}
	since := func(u *v1alpha1.AgentUpgrade) time.Time {
		if u.Status.PhaseSince != nil {
			return u.Status.PhaseSince.Time
		}
		return u.CreationTimestamp.Time
	}
	slices.SortFunc(ended, func(a, b *v1alpha1.AgentUpgrade) int {
		return cmp.Or(since(b).Compare(since(a)), cmp.Compare(a.Name, b.Name))
	})
	works := slices.IndexFunc(ended, func(u *v1alpha1.AgentUpgrade) bool { return u.Status.Phase == protocol.Committed })
	var out []*v1alpha1.AgentUpgrade
	for i, u := range ended {
		if i >= kept && i != works {
			out = append(out, u)
		}
	}
	return out
}
