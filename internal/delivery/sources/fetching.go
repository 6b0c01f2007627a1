package sources

import (
	"context"
	"errors"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/source"
)

const (
	// defaultTimeout bounds a fetch where the spec says nothing.
	defaultTimeout = time.Minute
	// maxTimeout bounds it whatever the spec says.
	maxTimeout = 10 * time.Minute
)

// begin starts a fetch and lets the worker go. since is how old the server's word may be, unless the source is hurried.
func (t *task[T]) begin(token string, since time.Time) {
	generation, key := t.obj.GetGeneration(), t.key()
	if known := t.polls.newest(key); known != "" {
		_, has := t.store.Get(known)
		t.poll.lost = t.poll.lost || !has
	}
	if t.since = since; t.polls.begun(key) {
		t.since = t.opts.Clock.Now() // It may have been hurried by a push that came after this reconcile began.
	}
	t.flights.start(key, func(ctx context.Context) *landed[T] {
		got, err := t.measuredFetch(ctx, "")
		return &landed[T]{generation: generation, token: token, got: got, err: err}
	}, func() { t.landed(key) })
}

// settle records how a fetch ended.
func (t *task[T]) settle(ctx context.Context, end *landed[T]) (ctrl.Result, error) {
	t.poll.generation, t.poll.next = t.obj.GetGeneration(), t.started.Add(wake.Spread(wake.Interval(t.interval)))
	var typed *source.Error
	switch {
	case errors.As(end.err, &typed) && typed.Permanent():
		t.explain(end.got)
		return ctrl.Result{}, t.stall(ctx, typed.Reason, end.err)
	case end.err != nil:
		t.explain(end.got)
		return t.fail(ctx, end.err, end.got.reached)
	}
	if err := t.succeed(ctx, end.got); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: t.pause()}, nil
}

// pause is the time until the next fetch.
func (t *task[T]) pause() time.Duration {
	return max(t.poll.next.Sub(t.opts.Clock.Now()), time.Millisecond)
}

// fetch asks the server for what the spec names, or for the revision.
func (t *task[T]) fetch(ctx context.Context, revision string) (fetched[T], error) {
	timeout := defaultTimeout
	if t.timeout != nil {
		timeout = min(t.timeout.Duration, maxTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	previous := t.polls.newest(t.key())
	if artifact := *t.artifact; previous == "" && artifact != nil {
		previous = artifact.Digest
	}
	got, err := t.driver.fetch(ctx, t.obj, want{previous: previous, revision: revision, since: t.since})
	if err == nil && got.snapshot == nil {
		err = errors.New("nothing was fetched") // a mistake of the driver's must not take the agent down
	}
	return got, err
}

// restore brings back the artifact of a suspended source that the store has lost: what was delivered stays deliverable, and others can
// download it from the replica that leads.
func (t *task[T]) restore(ctx context.Context) error {
	artifact, key := *t.artifact, t.key()
	if artifact == nil || t.flights.busy(key) {
		return nil
	}
	if end := t.flights.take(key); end != nil {
		if end.err != nil {
			return fmt.Errorf("fetch revision %s of the suspended source again: %w", artifact.Revision, end.err)
		}
		t.stored(ctx, end.got.snapshot)
		t.readdress()
		return t.write(ctx)
	}
	if !t.missing() {
		t.readdress()
		return t.write(ctx)
	}
	t.flights.start(key, func(ctx context.Context) *landed[T] {
		got, err := t.measuredFetch(ctx, artifact.Revision)
		return &landed[T]{got: got, err: err}
	}, func() { t.landed(key) })
	return nil
}

// stored notes that snapshot is in the store and tells who waits for it.
func (t *task[T]) stored(ctx context.Context, snapshot *source.Snapshot) {
	fresh := t.polls.keep(t.key(), snapshot.Digest())
	if (fresh || t.poll.lost) && t.opts.Stored != nil {
		t.opts.Stored(ctx, t.kind, t.key())
	}
	t.poll.lost = false
}
