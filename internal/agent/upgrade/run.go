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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/kube"
)

// absent is how often is looked whether the cluster knows AgentUpgrades by now, or lets them be seen, where it doesn't.
const absent = 10 * time.Minute

// pauses are those after a watch that ended. The longest is shorter than a guard may pause before it takes the silence of the other slot for
// its own.
func pauses() wait.Backoff {
	return wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.5, Steps: 10, Cap: 10 * time.Second}
}

// Run drives attempts until ctx ends. While none is under way it costs one watch.
func (d *Driver) Run(ctx context.Context, watcher client.WithWatch) error {
	next, said := pauses(), ""
	for ctx.Err() == nil {
		watched, err := d.follow(ctx, watcher)
		if watched {
			next, said = pauses(), ""
		}
		pause := next.Step()
		if apierrors.IsForbidden(err) || meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			pause = absent
		}
		if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) && ctx.Err() == nil && err.Error() != said {
			d.opts.Log.Error(err, "Look after the agent's upgrade")
			said = err.Error()
		}
		rest(ctx, pause)
	}
	return nil
}

// follow looks at all attempts once, and then whenever somebody else changes one, and every now and then while one is under way, until the
// watch ends. It tells whether there was one.
func (d *Driver) follow(ctx context.Context, watcher client.WithWatch) (watched bool, err error) {
	from := &v1alpha1.AgentUpgradeList{}
	if err := watcher.List(ctx, from, client.InNamespace(d.opts.Namespace), client.Limit(1)); err != nil { // only where the watch begins is of interest
		return false, fmt.Errorf("list AgentUpgrades: %w", err)
	}
	changes, err := watcher.Watch(ctx, &v1alpha1.AgentUpgradeList{}, &client.ListOptions{
		Namespace: d.opts.Namespace, Raw: &metav1.ListOptions{ResourceVersion: from.ResourceVersion},
	})
	if err != nil {
		return false, fmt.Errorf("watch AgentUpgrades: %w", err)
	}
	defer changes.Stop()
	next, said := pauses(), ""
	for {
		seen, err := d.look(ctx)
		var again <-chan time.Time
		switch {
		case err == nil:
			next, said = pauses(), ""
		case err.Error() != said && ctx.Err() == nil:
			d.opts.Log.Info("The agent's upgrade can't go on yet", "because", err.Error())
			said = err.Error()
		}
		switch {
		case seen.underWay:
			again = time.After(d.opts.Limits.Poll)
		case err != nil:
			again = time.After(next.Step())
		}
		if open := news(ctx, changes, seen.version, again); !open {
			return true, nil
		}
	}
}

// news waits until a watch tells of a change that isn't in what was seen, or until it is time to look again. It isn't open any more when the
// watch has ended, or ctx has.
func news(ctx context.Context, changes watch.Interface, seen string, again <-chan time.Time) (open bool) {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-again:
			return true
		case event, open := <-changes.ResultChan():
			if !open || event.Type == watch.Error {
				return false
			}
			if u, ok := event.Object.(*v1alpha1.AgentUpgrade); !ok || seen == "" || kube.Older(seen, u.ResourceVersion) {
				return true
			}
		}
	}
}

// sight is what a look has seen last.
type sight struct {
	// underWay says that an attempt is.
	underWay bool
	// version is the resource version that all attempts were seen in; empty: they weren't.
	version string
}

// look looks at all attempts and does what is due.
func (d *Driver) look(ctx context.Context) (seen sight, err error) {
	for {
		all := &v1alpha1.AgentUpgradeList{}
		if err := d.opts.Client.List(ctx, all, client.InNamespace(d.opts.Namespace)); err != nil {
			return sight{underWay: seen.underWay}, fmt.Errorf("list AgentUpgrades: %w", err)
		}
		seen = sight{version: all.ResourceVersion}
		changed := false
		var errs []error
		for _, u := range due(all.Items) {
			stepped, err := d.Step(ctx, u)
			changed = changed || stepped
			if err != nil && !errors.Is(err, errSuperseded) {
				errs = append(errs, fmt.Errorf("AgentUpgrade %s: %w", u.Name, err))
			}
			seen.underWay = seen.underWay || !u.Status.Phase.Ended()
		}
		if !changed || len(errs) > 0 || ctx.Err() != nil {
			if !seen.underWay {
				d.prune(ctx, all.Items)
			}
			return seen, errors.Join(errs...)
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
		case state.Ended():
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
	all, err := d.Attempts(ctx)
	if err != nil {
		return latest, err
	}
	for _, u := range all {
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
