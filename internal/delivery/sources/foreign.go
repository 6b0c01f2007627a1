package sources

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
)

// follow is step for a kind whose status another controller writes: what its artifact names is brought into the store, and nothing is
// written. There is no interval: a change of the artifact, or the loss of what was stored, is what makes a fetch due.
func (t *task[T]) follow(ctx context.Context) (ctrl.Result, error) {
	artifact, key := *t.artifact, t.key()
	if artifact == nil || t.flights.busy(key) {
		return ctrl.Result{}, nil
	}
	end := t.flights.take(key)
	switch {
	case end == nil || end.token != artifact.Digest: // none, or one for what is not wanted any more
	case end.err != nil:
		return t.miss(ctx, end.err), nil //nolint:nilerr // told in an event, and tried again
	default:
		t.poll.failures = 0
		t.stored(ctx, end.got.snapshot)
		t.collector.soon()
		return ctrl.Result{}, nil
	}
	if snapshot, ok := t.store.Get(artifact.Digest); ok {
		t.poll.failures = 0
		t.polls.keep(key, snapshot.Digest())
		return ctrl.Result{}, nil
	}
	if wait := t.poll.next.Sub(t.started); wait > 0 && t.poll.wanted == artifact.Digest && !t.polls.hurried(key) {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	t.poll.wanted = artifact.Digest
	t.begin(artifact.Digest, t.started)
	return ctrl.Result{}, nil
}

// miss notes that what the artifact names can't be had. It is told in an event, and by those who wait for it.
func (t *task[T]) miss(ctx context.Context, err error) ctrl.Result {
	t.poll.failures++
	t.poll.next = t.opts.Clock.Now().Add(wake.Spread(wake.Backoff(t.poll.failures)))
	if message := err.Error(); t.polls.fail(t.key(), message) {
		t.event(reasonOf(err, t.driver.traits().failed), message, true)
		if t.opts.Stored != nil {
			t.opts.Stored(ctx, t.kind, t.key())
		}
	}
	return ctrl.Result{RequeueAfter: t.pause()}
}
