package delivery

import (
	"context"
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
)

func dependencyKeys(obj *kustomizev1.Kustomization) []types.NamespacedName {
	keys := make([]types.NamespacedName, 0, len(obj.Spec.DependsOn))
	for _, dep := range obj.Spec.DependsOn {
		ns := dep.Namespace
		if ns == "" {
			ns = obj.Namespace
		}
		keys = append(keys, types.NamespacedName{Namespace: ns, Name: dep.Name})
	}
	return keys
}

// dependencies says which dependency obj has to wait for, if any. Their own watch wakes obj, so nothing is asked again by the clock.
func (r *KustomizationReconciler) dependencies(ctx context.Context, obj *kustomizev1.Kustomization, in *input) (*blocked, error) {
	for _, key := range dependencyKeys(obj) {
		if r.opts.NoCrossNamespaceRefs && key.Namespace != obj.Namespace {
			return stalledBy(accessDenied, fmt.Sprintf("can't depend on '%s', cross-namespace references have been blocked", key)), nil
		}
		var dep kustomizev1.Kustomization
		if err := r.client.Get(ctx, key, &dep); err != nil {
			if apierrors.IsNotFound(err) {
				return dependencyNotReady("dependency '%s' not found; create it, or correct spec.dependsOn", key), nil
			}
			return nil, fmt.Errorf("get dependency %s: %w", key, err)
		}
		why := unready(obj, &dep, in.artifact)
		if why == "" {
			continue
		}
		if cycle := r.cycle(ctx, obj); cycle != nil {
			return stalledBy(meta.DependencyNotReadyReason, fmt.Sprintf("dependsOn is a cycle, which can never become ready: %s; remove one of its links",
				strings.Join(cycle, " → "))), nil
		}
		return dependencyNotReady("dependency '%s' "+why, key), nil
	}
	return nil, nil
}

func dependencyNotReady(format string, key types.NamespacedName) *blocked {
	return &blocked{reason: meta.DependencyNotReadyReason, message: fmt.Sprintf(format, key)}
}

// unready says why dep does not let obj go on; empty: it does. Dependencies that share obj's source must be at its revision.
func unready(obj, dep *kustomizev1.Kustomization, artifact *meta.Artifact) string {
	switch {
	case dep.Status.ObservedGeneration != dep.Generation, !apimeta.IsStatusConditionTrue(dep.Status.Conditions, meta.ReadyCondition):
		return "is not ready"
	case dep.Spec.SourceRef.Kind == obj.Spec.SourceRef.Kind && sourceKey(dep) == sourceKey(obj) && !artifact.HasRevision(dep.Status.LastAppliedRevision):
		return "revision is not up to date"
	}
	return ""
}

// cycle returns the path from obj back to itself along dependsOn, or nil.
func (r *KustomizationReconciler) cycle(ctx context.Context, obj *kustomizev1.Kustomization) []string {
	start := types.NamespacedName{Namespace: obj.Namespace, Name: obj.Name}
	seen := map[types.NamespacedName]bool{}
	var walk func(at *kustomizev1.Kustomization, path []string) []string
	walk = func(at *kustomizev1.Kustomization, path []string) []string {
		for _, key := range dependencyKeys(at) {
			next := append(path[:len(path):len(path)], key.String())
			if key == start {
				return next
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			var dep kustomizev1.Kustomization
			if err := r.client.Get(ctx, key, &dep); err != nil {
				continue // a missing link is no cycle
			}
			if found := walk(&dep, next); found != nil {
				return found
			}
		}
		return nil
	}
	return walk(obj, []string{start.String()})
}
