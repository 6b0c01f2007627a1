package delivery

import (
	"context"
	"slices"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build/inputs"
	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/kube"
)

// gather compares what is with what the last attempt was made of.
func (t *task) gather(ctx context.Context, touched map[kube.Ref]struct{}, kinds bool) (facts, error) {
	p, now := t.entry.past, t.started
	token, requested := meta.ReconcileAnnotationValue(t.obj.GetAnnotations())
	f := facts{requested: requested && token != t.obj.Status.LastHandledReconcileAt}
	if p == nil {
		return f, nil
	}
	f.blocked = t.entry.blocked
	f.known, f.failed, f.unwatched, f.pending = true, p.failed, p.unwatched, !p.pending.IsZero()
	f.generation = p.generation != t.obj.Generation || p.modes != t.modes
	f.revision = p.revision != t.in.artifact.Revision
	f.content = p.artifact != t.in.artifact.Digest && !p.reads.Same(t.in.snapshot)
	f.interval = !now.Before(p.looked.Add(wake.Interval(t.obj.Spec.Interval.Duration)))
	f.retry = p.failed && (kinds || !now.Before(p.ended.Add(p.retry)))
	f.sweep = !now.Before(p.ended.Add(t.opts.Sweep))
	t.verify = f.sweep
	for ref := range touched {
		if !t.applier.Drifted(ownerOf(t.key()), ref) || !t.applied(ref) || t.done(p, ref) {
			continue
		}
		if t.driftMode(ref) == observe.ModeIgnore {
			continue
		}
		if until := t.entry.contest.until(ref); now.Before(until) {
			t.entry.touch(ref)
			t.truce = earliest(t.truce, until)
			continue
		}
		f.drifted = true
	}
	f.drifted = f.drifted || f.requested && t.entry.drifted // who asks for a reconcile has it put back
	f.waiting = t.healthMoved(touched)
	f.due = t.recordDue(ctx, f)
	err := t.gatherInputs(ctx, &f, touched)
	return f, err
}

// gatherInputs reads what the spec refers to in the cluster when its watch saw a change, when a person asks, and by the clock where it
// can't be watched.
func (t *task) gatherInputs(ctx context.Context, f *facts, touched map[kube.Ref]struct{}) error {
	refs := inputs.Refs(t.obj)
	moved := slices.ContainsFunc(refs, func(ref kube.Ref) bool { _, ok := touched[ref.Unversioned()]; return ok })
	if len(refs) == 0 || !moved && !f.requested && !f.retry && !(f.interval && t.entry.blind) {
		return nil
	}
	if err := t.readInputs(ctx); err != nil {
		return err
	}
	p := t.entry.past
	f.inputs = t.inputs.Digest != p.inputs
	f.retry = f.retry || moved && p.failed // it may have failed for want of them
	p.looked = t.started
	return nil
}

// applied tells whether ref is one of the objects that the last attempt applied, not one whose health is only watched.
func (t *task) applied(ref kube.Ref) bool { return contains(t.entry.past.written, ref) }

// again is when the object must be looked at although no watch woke it.
func (t *task) again() ctrl.Result {
	p, w, now := t.entry.past, t.entry.wait, t.opts.Clock.Now()
	if p == nil {
		return ctrl.Result{}
	}
	next := p.ended.Add(wake.Spread(t.opts.Sweep))
	sooner := func(at time.Time) {
		if at.Before(next) {
			next = at
		}
	}
	if p.unwatched || t.remote != nil || t.entry.blind {
		sooner(p.looked.Add(wake.Spread(wake.Interval(t.obj.Spec.Interval.Duration))))
	}
	if !t.truce.IsZero() {
		sooner(t.truce)
	}
	if p.failed {
		sooner(p.ended.Add(p.retry))
	}
	if !p.pending.IsZero() {
		sooner(now.Add(pendingPause(now.Sub(p.pending))))
	}
	if w != nil && w.state == waitOpen {
		sooner(w.deadline)
		sooner(w.announceAt())
		if p.unwatched || len(t.obj.Spec.HealthCheckExprs) > 0 {
			sooner(now.Add(pollUnwatched))
		}
	}
	priority := 0
	if at := t.entry.recordAt; !at.IsZero() && at.Before(next) {
		next, priority = at, handler.LowPriority
	}
	return ctrl.Result{RequeueAfter: max(next.Sub(now), time.Millisecond), Priority: &priority}
}

// minRetry is the shortest pause after a failure, whatever a spec says: a typing error must not keep the agent and the API server busy.
const minRetry = 5 * time.Second

func retryInterval(obj *kustomizev1.Kustomization) time.Duration {
	return max(obj.GetRetryInterval(), minRetry)
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// pendingPause is when a set that has waited so long for the cluster is taken up again: the longer it takes, the less often.
func pendingPause(waited time.Duration) time.Duration {
	return min(max(pollPending, waited/4), maxPollPending)
}

// retryAfter is the pause before a failed attempt is made again: retryInterval, and less where nobody has said no.
func (t *task) retryAfter(err error) time.Duration {
	longest := retryInterval(t.obj)
	if !apply.Unanswered(err) {
		t.entry.unanswered = 0
		return longest
	}
	t.entry.unanswered++
	return min(longest, minRetry<<min(t.entry.unanswered-1, 8))
}
