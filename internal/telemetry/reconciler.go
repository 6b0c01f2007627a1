package telemetry

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Reconciler makes each reconcile of a kind a run.
func (t *Telemetry) Reconciler(kind string, next reconcile.Reconciler) reconcile.Reconciler {
	if t == nil {
		return next
	}
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		o := Object{Kind: kind, Namespace: req.Namespace, Name: req.Name}
		ctx, run := t.Begin(ctx, o)
		cause, waited := run.account.begun(run.started)
		t.metrics.wakeups.WithLabelValues(kind, string(cause)).Inc()
		t.metrics.queue.WithLabelValues(kind).Observe(waited.Seconds())
		run.account.queueNanos.Add(int64(waited))
		result, err := next.Reconcile(ctx, req)
		now := time.Now()
		run.account.runs.Add(1)
		run.account.runNanos.Add(int64(now.Sub(run.started)))
		if err == nil && result.RequeueAfter > 0 {
			run.account.again(now.Add(result.RequeueAfter))
		}
		run.End(err)
		return result, err
	})
}

// Waking notes that the objects of a kind that fn names are woken, and why.
func (t *Telemetry) Waking(kind string, cause Cause, fn handler.MapFunc) handler.MapFunc {
	if t == nil {
		return fn
	}
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		requests := fn(ctx, obj)
		for _, req := range requests {
			t.Woke(Object{Kind: kind, Namespace: req.Namespace, Name: req.Name}, cause)
		}
		return requests
	}
}

// WokenBy returns a function that notes that objects of a kind are woken.
func (t *Telemetry) WokenBy(kind string, cause Cause) func(...types.NamespacedName) {
	return func(keys ...types.NamespacedName) {
		for _, key := range keys {
			t.Woke(Object{Kind: kind, Namespace: key.Namespace, Name: key.Name}, cause)
		}
	}
}

// Passing notes that the objects of a kind that p lets through are woken by what people did.
func (t *Telemetry) Passing(kind string, p predicate.Predicate) predicate.Predicate {
	if t == nil {
		return p
	}
	note := func(obj client.Object, passes bool) bool {
		if passes {
			t.Woke(Object{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}, Spec)
		}
		return passes
	}
	return predicate.Funcs{
		CreateFunc:  func(e event.CreateEvent) bool { return note(e.Object, p.Create(e)) },
		UpdateFunc:  func(e event.UpdateEvent) bool { return note(e.ObjectNew, p.Update(e)) },
		DeleteFunc:  func(e event.DeleteEvent) bool { return note(e.Object, p.Delete(e)) },
		GenericFunc: func(e event.GenericEvent) bool { return note(e.Object, p.Generic(e)) },
	}
}
