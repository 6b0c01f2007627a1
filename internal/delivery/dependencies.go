package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/health"
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
func (t *task) dependencies(ctx context.Context) (*blocked, error) {
	for i, key := range dependencyKeys(t.obj) {
		if t.opts.NoCrossNamespaceRefs && key.Namespace != t.obj.Namespace {
			return stalledBy(accessDenied, fmt.Sprintf("can't depend on '%s', cross-namespace references have been blocked", key)), nil
		}
		var dep kustomizev1.Kustomization
		if err := t.client.Get(ctx, key, &dep); err != nil {
			if apierrors.IsNotFound(err) {
				return dependencyNotReady(key, "not found; create it, or correct spec.dependsOn"), nil
			}
			return nil, fmt.Errorf("get dependency %s: %w", key, err)
		}
		if expr := t.obj.Spec.DependsOn[i].ReadyExpr; expr != "" {
			if block, err := t.agreed(expr, key, &dep); err != nil || block != nil {
				return block, err
			}
			if !t.opts.AdditiveReadyExpr {
				continue
			}
		}
		why := unready(t.obj, &dep, t.in.artifact)
		if why == "" {
			continue
		}
		if cycle := t.cycle(ctx, t.obj); cycle != nil {
			return stalledBy(meta.DependencyNotReadyReason, fmt.Sprintf("dependsOn is a cycle, which can never become ready: %s; remove one of its links",
				strings.Join(cycle, " → "))), nil
		}
		return dependencyNotReady(key, why), nil
	}
	return nil, nil
}

func dependencyNotReady(key types.NamespacedName, why string) *blocked {
	return &blocked{reason: meta.DependencyNotReadyReason, message: fmt.Sprintf("dependency '%s' %s", key, why)}
}

// agreed asks a readyExpr whether dep is ready, in the place of what decides otherwise.
func (t *task) agreed(text string, key types.NamespacedName, dep *kustomizev1.Kustomization) (*blocked, error) {
	invalid := func(err error) *blocked {
		return stalledBy(meta.InvalidCELExpressionReason, fmt.Sprintf("readyExpr of dependency '%s': %s", key, err))
	}
	expr, err := t.entry.readyExpr(text)
	if err != nil {
		return invalid(err), nil
	}
	self, err := runtime.DefaultUnstructuredConverter.ToUnstructured(t.obj)
	if err != nil {
		return nil, fmt.Errorf("prepare the readyExpr of dependency %s: %w", key, err)
	}
	other, err := runtime.DefaultUnstructuredConverter.ToUnstructured(dep)
	if err != nil {
		return nil, fmt.Errorf("prepare the readyExpr of dependency %s: %w", key, err)
	}
	holds, err := expr.Holds(self, other)
	var why *health.NotEvaluable
	switch {
	case errors.As(err, &why) && why.Lasting:
		return invalid(err), nil
	case err != nil: // with another status of the dependency it may work
		return dependencyNotReady(key, "is not ready: its readyExpr can't be evaluated yet: "+err.Error()), nil //nolint:nilerr // told in the status
	case !holds:
		return dependencyNotReady(key, "is not ready: its readyExpr does not hold"+because(dep)), nil
	}
	return nil, nil
}

// readyExpr returns an expression, which is compiled when it is first asked for.
func (e *entry) readyExpr(text string) (*health.ReadyExpr, error) {
	if have, ok := e.exprs[text]; ok {
		return have, nil
	}
	expr, err := health.CompileReady(text)
	if err != nil {
		return nil, err
	}
	if e.exprs == nil || len(e.exprs) >= maxExprs {
		e.exprs = map[string]*health.ReadyExpr{}
	}
	e.exprs[text] = expr
	return expr, nil
}

// maxExprs bounds the compiled expressions that are kept for one object.
const maxExprs = 20

// unready says why dep does not let obj go on; empty: it does. Dependencies that share obj's source must be at its revision.
func unready(obj, dep *kustomizev1.Kustomization, artifact *meta.Artifact) string {
	switch {
	case dep.Status.ObservedGeneration != dep.Generation, !apimeta.IsStatusConditionTrue(dep.Status.Conditions, meta.ReadyCondition):
		return "is not ready" + because(dep)
	case dep.Spec.SourceRef.Kind == obj.Spec.SourceRef.Kind && sourceKey(dep) == sourceKey(obj) && !artifact.HasRevision(dep.Status.LastAppliedRevision):
		return "revision is not up to date"
	}
	return ""
}

// maxQuoted bounds what a message takes over from another one, in bytes: dependencies quote each other along a chain.
const maxQuoted = 1024

// because is what dep says of itself while it is not ready, as the rest of a sentence.
func because(dep *kustomizev1.Kustomization) string {
	if dep.Spec.Suspend {
		return ": it is suspended"
	}
	said := saying(dep)
	if said == "" {
		return ""
	}
	return ": " + shorten(said, maxQuoted)
}

// saying is the message of a Kustomization that tells why it is not ready; empty: it is, or says nothing.
func saying(dep *kustomizev1.Kustomization) string {
	ready := apimeta.FindStatusCondition(dep.Status.Conditions, meta.ReadyCondition)
	switch {
	case ready == nil || ready.Status == metav1.ConditionTrue:
		return ""
	case ready.Status == metav1.ConditionFalse:
		return ready.Message
	}
	if under := apimeta.FindStatusCondition(dep.Status.Conditions, meta.ReconcilingCondition); under != nil {
		return under.Message
	}
	return ready.Message
}

// shorten cuts a text that is longer than so many bytes, between two characters.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
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
