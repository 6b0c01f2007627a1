package builtin

import (
	"fmt"
	"maps"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// SetUp registers the reconciler with mgr. Modules are watched through a cache that holds all of them.
func (r *Reconciler) SetUp(mgr ctrl.Manager, all cache.Cache) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("builtin").
		WatchesRawSource(source.Kind(all, &v1alpha1.Module{}, &handler.TypedEnqueueRequestForObject[*v1alpha1.Module]{}, ours(), byPeople())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](500*time.Millisecond, time.Minute),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the controller of built-in modules: %w", err)
	}
	return nil
}

// ours lets through the Modules that are part of Slipway.
func ours() predicate.TypedPredicate[*v1alpha1.Module] {
	return predicate.NewTypedPredicateFuncs(func(m *v1alpha1.Module) bool { return m.Spec.Source.Builtin != nil })
}

// byPeople lets through what a person did: a new spec, an annotation.
func byPeople() predicate.TypedPredicate[*v1alpha1.Module] {
	return predicate.TypedFuncs[*v1alpha1.Module]{UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.Module]) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || !maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations())
	}}
}
