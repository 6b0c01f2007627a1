package sources

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlbuilder "sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
)

// Kind is one kind of source that is served, such as what [GitRepositories] returns.
type Kind interface {
	// Name is the kind's, such as GitRepository.
	Name() string

	setUp(shared *shared) error
	// artifacts are the digests that the objects of the kind have in their statuses.
	artifacts(ctx context.Context) ([]string, error)
	// New returns an empty object of the kind.
	New() Object
	look(key types.NamespacedName)
	problem(key types.NamespacedName) string
	// hurry fetches the source at once, whatever its interval. It is false where the source isn't there.
	hurry(ctx context.Context, key types.NamespacedName) bool
}

// kindOf makes a kind out of what is special about it.
func kindOf[T Object](d driver[T]) Kind {
	return &reconciler[T]{driver: d, kind: d.traits().kind, polls: newPolls(), queue: &wake.Queue{}}
}

// Name implements Kind.
func (r *reconciler[T]) Name() string { return r.kind }

// setUp registers the reconciler with the manager.
func (r *reconciler[T]) setUp(s *shared) error {
	r.shared, r.flights = s, newFlights[T](s.ctx, s.gates)
	// Known to the cache before anything runs: a collection must see the objects of all kinds.
	if _, err := s.mgr.GetCache().GetInformer(s.ctx, r.driver.object(), cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watch %ss: %w", r.kind, err)
	}
	s.opts.Telemetry.Observe(r.resources)
	moved := wake.SpecOrRequest()
	if r.driver.traits().foreign {
		moved = predicate.Or(moved, wake.ArtifactMoved())
	}
	b := ctrl.NewControllerManagedBy(s.mgr).
		For(r.driver.object(), ctrlbuilder.WithPredicates(s.opts.Telemetry.Passing(r.kind, moved))).
		WatchesRawSource(r.queue.Source()).
		WatchesRawSource(s.opts.Aside.Source(s.mgr.GetClient(), r.driver.list())).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: wake.Retries()})
	if f, ok := any(r.driver).(follower); ok {
		b = b.Watches(r.driver.object(), handler.EnqueueRequestsFromMapFunc(r.follow(f)), ctrlbuilder.WithPredicates(wake.ArtifactMoved()))
	}
	if err := b.Complete(s.opts.Telemetry.Reconciler(r.kind, s.opts.Aside.Reconciler(r))); err != nil {
		return fmt.Errorf("set up the %s controller: %w", r.kind, err)
	}
	return nil
}

// follow has what is made of an object fetched when the object has another artifact.
func (r *reconciler[T]) follow(f follower) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) (requests []ctrl.Request) {
		for _, key := range f.dependents(ctx, obj) {
			r.polls.hurry(key)
			requests = append(requests, ctrl.Request{NamespacedName: key})
		}
		return requests
	}
}

// workers is how many sources of one kind are looked at at once. None of them waits for a server.
const workers = 4

func (r *reconciler[T]) artifacts(ctx context.Context) ([]string, error) {
	list := r.driver.list()
	if err := r.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list %ss: %w", r.kind, err)
	}
	digests := r.polls.digests()
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if artifact := item.(T).GetArtifact(); artifact != nil {
			digests = append(digests, artifact.Digest)
		}
		return nil
	})
	return digests, err
}

// New implements Kind.
func (r *reconciler[T]) New() Object { return r.driver.object() }

// look has the source looked at: it is fetched if its time has come, or if the store has lost it.
func (r *reconciler[T]) look(key types.NamespacedName) { r.queue.Wake(key) }

func (r *reconciler[T]) problem(key types.NamespacedName) string { return r.polls.mark(key).problem }

// hurry fetches the source at once, whatever its interval.
func (r *reconciler[T]) hurry(ctx context.Context, key types.NamespacedName) bool {
	if err := r.client.Get(ctx, key, r.driver.object()); err != nil {
		return false
	}
	r.polls.hurry(key)
	r.queue.Wake(key)
	return true
}
