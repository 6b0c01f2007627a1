package attempt

import (
	"fmt"
	"maps"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlbuilder "sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// SetUp registers the reconciler with mgr.
func (r *Reconciler) SetUp(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("module").
		For(&v1alpha1.Module{}, ctrlbuilder.WithPredicates(byPeople())).
		WatchesRawSource(r.wakeup.source()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: r.settings.Concurrent,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](500*time.Millisecond, time.Minute),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the module controller: %w", err)
	}
	return nil
}

// byPeople lets through what a person did: a new spec, an annotation, a deletion.
func byPeople() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
			e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	}}
}
