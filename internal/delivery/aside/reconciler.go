package aside

import (
	"context"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Reconciler does nothing while the gate is closed.
func (g *Gate) Reconciler(inner reconcile.Reconciler) reconcile.Reconciler {
	if g == nil {
		return inner
	}
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (ctrl.Result, error) {
		if g.Closed() {
			return ctrl.Result{}, nil // all are looked at when it opens
		}
		return inner.Reconcile(ctx, req)
	})
}

// Source wakes all objects of a list's kind when the gate opens.
func (g *Gate) Source(c client.Client, list client.ObjectList) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		if g == nil {
			return nil
		}
		g.opened(func() {
			all := list.DeepCopyObject().(client.ObjectList)
			if err := c.List(ctx, all, client.UnsafeDisableDeepCopy); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "list what was left alone")
				return
			}
			_ = apimeta.EachListItem(all, func(o runtime.Object) error { // the function gives no error
				queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o.(client.Object))})
				return nil
			})
		})
		return nil
	})
}
