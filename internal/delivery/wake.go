package delivery

import (
	"context"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// Indexes of the cache: who is concerned by a source, by a dependency.
const (
	bySource     = "slipway.dev/source"
	byDependency = "slipway.dev/dependency"
)

// observed wakes those whom a change in the cluster concerns.
func (r *KustomizationReconciler) observed(e observe.Event) {
	r.wake(telemetry.Cluster, r.memory.touch(e.Ref)...)
}

// wake has Kustomizations looked at, for a reason that is counted.
func (r *KustomizationReconciler) wake(cause telemetry.Cause, keys ...types.NamespacedName) {
	r.telemetry.WokenBy(kustomizev1.KustomizationKind, cause)(keys...)
	r.queue.Wake(keys...)
}

// KindsChanged wakes the Kustomizations that could not be applied because the cluster did not serve a kind.
func (r *KustomizationReconciler) KindsChanged(string) {
	r.wake(telemetry.Kinds, r.memory.kindsChanged()...)
}

// SourceStored wakes the Kustomizations of a source whose artifact was fetched again without a change of its status.
func (r *KustomizationReconciler) SourceStored(ctx context.Context, kind string, key types.NamespacedName) {
	for _, req := range r.bySource(ctx, kind, key) {
		r.wake(telemetry.Source, req.NamespacedName)
	}
}

// SourceKindServed wakes the Kustomizations that could not go on because the cluster did not know the kind of their source.
func (r *KustomizationReconciler) SourceKindServed(ctx context.Context, kind string) {
	var all kustomizev1.KustomizationList
	if err := r.client.List(ctx, &all); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Kustomizations to wake", "source kind", kind)
		return
	}
	for i := range all.Items {
		if all.Items[i].Spec.SourceRef.Kind == kind {
			r.queue.Wake(client.ObjectKeyFromObject(&all.Items[i]))
		}
	}
}

func (r *KustomizationReconciler) bySource(ctx context.Context, kind string, key types.NamespacedName) []reconcile.Request {
	return r.list(ctx, bySource, kind+"/"+key.String())
}

func (r *KustomizationReconciler) list(ctx context.Context, index, value string) []reconcile.Request {
	var found kustomizev1.KustomizationList
	if err := r.client.List(ctx, &found, client.MatchingFields{index: value}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Kustomizations to wake", "index", index, "value", value)
		return nil
	}
	requests := make([]reconcile.Request, len(found.Items))
	for i := range found.Items {
		requests[i] = reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])}
	}
	return requests
}

// indexSource and indexDependencies are the cache's indexes.
func indexSource(obj client.Object) []string {
	k := obj.(*kustomizev1.Kustomization)
	return []string{k.Spec.SourceRef.Kind + "/" + sourceKey(k).String()}
}

func indexDependencies(obj client.Object) []string {
	var keys []string
	for _, key := range dependencyKeys(obj.(*kustomizev1.Kustomization)) {
		keys = append(keys, key.String())
	}
	return keys
}

// readiness is what dependents without a readyExpr see of a Kustomization.
type readiness struct {
	ready, observed, suspended bool
	revision, saying           string
}

func readinessOf(k *kustomizev1.Kustomization) readiness {
	return readiness{
		ready:     apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition),
		observed:  k.Status.ObservedGeneration == k.Generation,
		suspended: k.Spec.Suspend,
		revision:  k.Status.LastAppliedRevision,
		saying:    saying(k),
	}
}

// dependencyHandler wakes those who may have waited for a Kustomization: when its readiness moved all that depend on it, and at any other
// change those that ask an expression about it.
func (r *KustomizationReconciler) dependencyHandler() handler.EventHandler {
	woken := r.telemetry.WokenBy(kustomizev1.KustomizationKind, telemetry.Dependency)
	wake := func(ctx context.Context, obj client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request], only func(*kustomizev1.Kustomization) bool) {
		for _, dependent := range r.dependents(ctx, client.ObjectKeyFromObject(obj)) {
			if only == nil || only(&dependent) {
				key := client.ObjectKeyFromObject(&dependent)
				woken(key)
				q.Add(reconcile.Request{NamespacedName: key})
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			wake(ctx, e.Object, q, nil)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			was, is := e.ObjectOld.(*kustomizev1.Kustomization), e.ObjectNew.(*kustomizev1.Kustomization)
			if readinessOf(was) != readinessOf(is) {
				wake(ctx, is, q, nil)
				return
			}
			if was.ResourceVersion == is.ResourceVersion {
				return // listed again
			}
			key := client.ObjectKeyFromObject(is)
			wake(ctx, is, q, func(dependent *kustomizev1.Kustomization) bool { return asksAbout(dependent, key) })
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			wake(ctx, e.Object, q, nil)
		},
	}
}

// asksAbout tells whether a Kustomization has a readyExpr about the dependency key.
func asksAbout(dependent *kustomizev1.Kustomization, key types.NamespacedName) bool {
	for i, dep := range dependencyKeys(dependent) {
		if dep == key && dependent.Spec.DependsOn[i].ReadyExpr != "" {
			return true
		}
	}
	return false
}

// dependents are the Kustomizations that depend on key.
func (r *KustomizationReconciler) dependents(ctx context.Context, key types.NamespacedName) []kustomizev1.Kustomization {
	var found kustomizev1.KustomizationList
	if err := r.client.List(ctx, &found, client.MatchingFields{byDependency: key.String()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "list Kustomizations to wake", "dependency", key)
		return nil
	}
	return found.Items
}
