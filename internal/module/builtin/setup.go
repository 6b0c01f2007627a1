package builtin

import (
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// SetUp registers the reconciler with mgr. Modules are watched through a cache that holds all of them.
func (r *Reconciler) SetUp(mgr ctrl.Manager, all cache.Cache) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("builtin").
		WatchesRawSource(source.Kind(all, &v1alpha1.Module{}, &handler.TypedEnqueueRequestForObject[*v1alpha1.Module]{}, ours(), attempt.ByPeople())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1,
			RateLimiter:             attempt.Retries(),
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
