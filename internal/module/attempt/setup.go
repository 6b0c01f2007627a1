package attempt

import (
	"context"
	"fmt"
	"maps"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// SetUp registers the reconciler with mgr. Modules and grants are watched through a cache that holds all of them.
func (r *Reconciler) SetUp(mgr ctrl.Manager, all cache.Cache) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("module").
		WatchesRawSource(source.Kind(all, &v1alpha1.Module{}, &handler.TypedEnqueueRequestForObject[*v1alpha1.Module]{}, packaged(), ByPeople())).
		WatchesRawSource(source.Kind(all, &v1alpha1.ModuleGrant{}, handler.TypedEnqueueRequestsFromMapFunc(r.granted))).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrent,
			RateLimiter:             Retries(),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the module controller: %w", err)
	}
	return nil
}

// Retries paces what is tried again because the API server gave no answer.
func Retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](500*time.Millisecond, time.Minute)
}

// granted has the modules planned anew that a grant bounds.
func (r *Reconciler) granted(ctx context.Context, grant *v1alpha1.ModuleGrant) []reconcile.Request {
	all := &v1alpha1.ModuleList{}
	if err := r.Modules.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
		return nil // the next look at the source finds it
	}
	var bound []string
	for _, m := range all.Items {
		if ref := m.Spec.GrantRef; ref != nil && ref.Name == grant.GetName() {
			bound = append(bound, m.Name)
		}
	}
	if len(bound) > 0 {
		r.Nudge(bound...)
	}
	return nil
}

// packaged lets through what has a package: what is part of Slipway is package builtin's.
func packaged() predicate.TypedPredicate[*v1alpha1.Module] {
	return predicate.NewTypedPredicateFuncs(func(m *v1alpha1.Module) bool { return m.Spec.Source.Builtin == nil })
}

// ByPeople lets through what a person did: a new spec, an annotation, a deletion.
func ByPeople() predicate.TypedPredicate[*v1alpha1.Module] {
	return predicate.TypedFuncs[*v1alpha1.Module]{UpdateFunc: func(e event.TypedUpdateEvent[*v1alpha1.Module]) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
}
