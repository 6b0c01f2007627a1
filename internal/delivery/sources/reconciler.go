package sources

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
)

// manager is the field manager under which Flux's tools expect the status of a source to be written.
const manager = client.FieldOwner("gotk-source-controller")

// reconciler keeps the store at what the servers of one kind of source have.
type reconciler[T Object] struct {
	*shared
	driver  driver[T]
	kind    string
	polls   *polls
	flights *flights[T]
	queue   *wake.Queue
}

// sharing is the part of its interval by which a poll may be late in seeing a change, because it uses what the same server said to
// another source: however many sources of one URL there are, that is about as many requests in an interval. Who asks gets an answer of now.
const sharing = 10

// Reconcile fetches one source if its time has come, and writes its status if that changed.
func (r *reconciler[T]) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := r.driver.object()
	if err := r.client.Get(ctx, req.NamespacedName, obj); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.polls.forget(req.NamespacedName)
			r.opts.Telemetry.Forget(r.measured(req.NamespacedName))
			r.flights.forget(req.NamespacedName)
			r.collector.soon()
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	poll, anew := r.polls.of(req.NamespacedName, obj.GetUID())
	if anew {
		r.flights.forget(req.NamespacedName)
	}
	t := &task[T]{reconciler: r, before: obj, obj: obj.DeepCopyObject().(T), poll: poll, started: r.opts.Clock.Now(), log: ctrl.LoggerFrom(ctx)}
	t.fields = r.driver.fields(t.obj)
	if !obj.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, t.release(ctx)
	}
	return t.step(ctx)
}

// task is one reconcile of one source.
type task[T Object] struct {
	*reconciler[T]
	fields
	log     logr.Logger
	obj     T // what the status is written to
	before  T // as the API server has it
	poll    *poll
	started time.Time
	since   time.Time
	token   string // of the request that this reconcile answers
}

// release lets a source go that Flux left a finalizer on.
func (t *task[T]) release(ctx context.Context) error {
	t.polls.forget(t.key())
	t.flights.forget(t.key())
	if !controllerutil.RemoveFinalizer(t.obj, sourcev1.SourceFinalizer) {
		return nil
	}
	if err := t.client.Patch(ctx, t.obj, client.MergeFrom(t.before), manager); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove finalizer: %w", err)
	}
	return nil
}

// missing tells whether the store has lost what the status says is in it.
func (t *task[T]) missing() bool {
	artifact := *t.artifact
	if artifact == nil {
		return false
	}
	_, ok := t.store.Get(artifact.Digest)
	return !ok
}

func (t *task[T]) key() types.NamespacedName { return client.ObjectKeyFromObject(t.obj) }

func (t *task[T]) step(ctx context.Context) (ctrl.Result, error) {
	if t.driver.traits().foreign {
		return t.follow(ctx)
	}
	if t.suspend {
		return ctrl.Result{}, t.restore(ctx)
	}
	token, asked := meta.ReconcileAnnotationValue(t.obj.GetAnnotations())
	if err := t.driver.check(t.obj); err != nil {
		t.token = token
		return ctrl.Result{}, t.stall(ctx, reasonOf(err, t.driver.traits().failed), err)
	}
	if t.flights.busy(t.key()) {
		return ctrl.Result{}, nil // its end wakes us
	}
	if end := t.flights.take(t.key()); t.current(end) {
		t.token = end.token
		failures := t.poll.failures
		result, err := t.settle(ctx, end)
		if err != nil { // to fetch again would ask the server as often as the API server fails to answer
			t.flights.keep(t.key(), end)
			t.poll.failures = failures
			return ctrl.Result{}, err
		}
		if asked && token != end.token || t.polls.hurried(t.key()) { // asked again meanwhile
			t.begin(token, t.started)
			return ctrl.Result{}, nil
		}
		return result, nil
	}
	asked = asked && token != *t.lastHandled || t.polls.hurried(t.key()) || t.poll.failures == 0 && t.missing()
	if wait := t.poll.next.Sub(t.started); wait > 0 && t.poll.generation == t.obj.GetGeneration() && !asked {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	since := t.started
	if t.poll.generation == t.obj.GetGeneration() && t.poll.failures == 0 && !asked {
		since = since.Add(-wake.Interval(t.interval) / sharing)
	}
	t.begin(token, since)
	return ctrl.Result{}, nil
}

// current tells whether what was fetched is still what is to be recorded: for the spec of now, and no longer ago than a poll would be.
func (t *task[T]) current(end *landed[T]) bool {
	if end == nil || end.generation != t.obj.GetGeneration() {
		return false
	}
	if end.seen.IsZero() {
		end.seen = t.started
	}
	return t.started.Sub(end.seen) < wake.Interval(t.interval)
}
