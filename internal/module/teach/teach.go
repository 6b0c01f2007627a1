package teach

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
)

// fieldManager writes the status.
const fieldManager = "slipway-agent"

// Teacher takes the Interpreters of a cluster into use.
type Teacher struct {
	cached client.Reader
	client client.Client
	events *kube.Recorder
	school *school
}

// New returns a teacher that puts what it learns into a registry, and tells what happens by events.
func New(registry *interpret.Registry, events *kube.Recorder) *Teacher {
	return &Teacher{events: events, school: &school{registry: registry, lessons: map[string]lesson{}}}
}

// Load takes in the Interpreters that there are, with one request. Whoever judges objects calls it before the first one: a verdict that is given
// by other rules may have been acted on before it is corrected.
func (t *Teacher) Load(ctx context.Context, reader client.Reader) error {
	var all v1alpha1.InterpreterList
	if err := reader.List(ctx, &all); err != nil {
		return fmt.Errorf("read the Interpreters: %w", err)
	}
	t.school.sync(all.Items)
	return nil
}

// Setup registers with mgr what keeps the registry, on every replica, and what writes the status, on the one that leads. Interpreters are read
// and watched through a cache that holds all of them.
func (t *Teacher) Setup(mgr ctrl.Manager, all cache.Cache) error {
	if err := t.Keep(mgr, all); err != nil {
		return err
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("interpreter").
		WatchesRawSource(t.changes(all, t.concerned)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		Complete(reconcile.Func(t.tell))
	if err != nil {
		return fmt.Errorf("set up the Interpreter controller: %w", err)
	}
	return nil
}

// Keep registers what keeps the registry, and nothing that writes: another process tells of the Interpreters.
func (t *Teacher) Keep(mgr ctrl.Manager, all cache.Cache) error {
	t.cached, t.client = all, mgr.GetClient()
	everywhere := false
	err := ctrl.NewControllerManagedBy(mgr).
		Named("interpreter-registry").
		WatchesRawSource(t.changes(all, func(context.Context, *v1alpha1.Interpreter) []reconcile.Request {
			return []reconcile.Request{{}} // whichever it is, all are looked at
		})).
		WithOptions(controller.Options{NeedLeaderElection: &everywhere, MaxConcurrentReconciles: 1}).
		Complete(reconcile.Func(t.keep))
	if err != nil {
		return fmt.Errorf("set up the registry of Interpreters: %w", err)
	}
	return nil
}

// changes are Interpreters that came, went, or have another spec.
func (*Teacher) changes(all cache.Cache, concerned handler.TypedMapFunc[*v1alpha1.Interpreter, reconcile.Request]) source.Source {
	return source.Kind(all, &v1alpha1.Interpreter{}, handler.TypedEnqueueRequestsFromMapFunc(concerned), predicate.TypedGenerationChangedPredicate[*v1alpha1.Interpreter]{})
}

// keep brings the registry up to date with the cache, whichever Interpreter has changed.
func (t *Teacher) keep(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	_, err := t.all(ctx)
	return ctrl.Result{}, err
}

// all takes in all Interpreters of the cache.
func (t *Teacher) all(ctx context.Context) ([]v1alpha1.Interpreter, error) {
	var all v1alpha1.InterpreterList
	if err := t.cached.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("list Interpreters: %w", err)
	}
	t.school.sync(all.Items)
	return all.Items, nil
}

// concerned lists the Interpreters of which there may be something else to say when one changes: that one, and those for the same kind.
func (t *Teacher) concerned(ctx context.Context, obj *v1alpha1.Interpreter) []reconcile.Request {
	requests := []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(obj)}}
	var all v1alpha1.InterpreterList
	if err := t.cached.List(ctx, &all); err != nil {
		return requests // the cache has it when the next one changes
	}
	for i := range all.Items {
		if other := &all.Items[i]; other.Name != obj.Name && other.Spec.Target.Kind == obj.Spec.Target.Kind && other.Spec.Target.Group == obj.Spec.Target.Group {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(other)})
		}
	}
	return requests
}
