package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/pmezard/go-difflib/difflib"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// More of what applying would do to an object; see also actionCreated and its neighbours.
const (
	actionDeleted = "deleted"
	actionSkipped = "skipped" // an annotation says that it is left alone
)

// The annotations by which an object says that it is left alone.
const (
	reconcileAnnotation = "kustomize.toolkit.fluxcd.io/reconcile"
	ssaAnnotation       = "kustomize.toolkit.fluxcd.io/ssa"
	pruneAnnotation     = "kustomize.toolkit.fluxcd.io/prune"
	disabled            = "disabled"
)

// difference is what applying would do to one object.
type difference struct {
	Object string `json:"object"`
	Action string `json:"action,omitempty"`
	Diff   string `json:"diff,omitempty"`
	Error  string `json:"error,omitempty"` // why it can't be applied
}

// compare asks the API server about each of the objects, and lists those that would be pruned.
func (c *cluster) compare(
	ctx context.Context, ks *kustomizev1.Kustomization, objs []*unstructured.Unstructured,
) ([]difference, error) {
	found := make([]difference, len(objs))
	var reads errgroup.Group
	reads.SetLimit(treeReads)
	for i, obj := range objs {
		reads.Go(func() error {
			found[i] = c.compareOne(ctx, owned(obj, ks))
			return ctx.Err()
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	pruned, err := c.comparePruned(ctx, ks, objs)
	return append(found, pruned...), err
}

func (c *cluster) compareOne(ctx context.Context, desired *unstructured.Unstructured) difference {
	result := difference{Object: objectName(desired)}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(desired.GroupVersionKind())
	err := c.Get(ctx, client.ObjectKeyFromObject(desired), live)
	exists := err == nil
	switch {
	case exists && leftAlone(live, desired):
		result.Action = actionSkipped
		return result
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		live = &unstructured.Unstructured{}
	case err != nil:
		result.Error = err.Error()
		return result
	}
	after := desired.DeepCopy()
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(after),
		client.FieldOwner(apply.DefaultManager), client.ForceOwnership, client.DryRunAll)
	if !exists && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err)) {
		// Its namespace or its kind isn't there yet; maybe it comes with the same set. What was built is all there is to show.
		after, err = desired.DeepCopy(), nil
	}
	if err != nil {
		result.Error = err.Error()
		return result
	}
	result.Action = actionCreated
	if exists {
		result.Action = actionConfigured
	}
	if result.Diff = unified(live, after); result.Diff == "" {
		result.Action = actionUnchanged
	}
	return result
}

// leftAlone reports whether annotations tell the agent not to touch an object that exists.
func leftAlone(live, desired *unstructured.Unstructured) bool {
	is := func(obj *unstructured.Unstructured, key, value string) bool {
		return strings.EqualFold(obj.GetAnnotations()[key], value)
	}
	return is(live, reconcileAnnotation, disabled) || is(desired, reconcileAnnotation, disabled) ||
		is(desired, ssaAnnotation, "Ignore") || is(desired, ssaAnnotation, "IfNotPresent")
}

// comparePruned lists what the inventory has and objs doesn't.
func (c *cluster) comparePruned(
	ctx context.Context, ks *kustomizev1.Kustomization, objs []*unstructured.Unstructured,
) ([]difference, error) {
	if !ks.Spec.Prune || ks.Status.Inventory == nil {
		return nil, nil
	}
	built := make([]kube.Ref, len(objs))
	for i, obj := range objs {
		built[i] = kube.RefOf(obj).Unversioned()
	}
	var pruned []difference
	for _, line := range ks.Status.Inventory.Entries {
		ref, err := kube.ParseRef(line.ID)
		if err != nil {
			return nil, err
		}
		if slices.Contains(built, ref) {
			continue
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(schema.GroupVersionKind{Group: ref.Group, Version: line.Version, Kind: ref.Kind})
		err = c.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, live)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) || strings.EqualFold(live.GetAnnotations()[pruneAnnotation], disabled) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", ref.Subject(), err)
		}
		pruned = append(pruned, difference{
			Object: objectName(live), Action: actionDeleted, Diff: unified(live, &unstructured.Unstructured{}),
		})
	}
	return pruned, nil
}

// unified returns the differences between two states of an object, or "". What the API server alone writes is left out, and values
// of Secrets are replaced by a word.
func unified(live, after *unstructured.Unstructured) string {
	live, after = comparable(live), comparable(after)
	hideSecret(live, after)
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: lines(live), B: lines(after), FromFile: "in the cluster", ToFile: "applied", Context: 3,
	})
	if err != nil { // it writes to memory
		return err.Error()
	}
	return text
}

func comparable(obj *unstructured.Unstructured) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(obj.Object, "status")
	return obj
}

func lines(obj *unstructured.Unstructured) []string {
	if len(obj.Object) == 0 {
		return nil
	}
	data, err := yaml.Marshal(obj.Object)
	if err != nil {
		return []string{err.Error() + "\n"}
	}
	return difflib.SplitLines(strings.TrimSuffix(string(data), "\n"))
}

// hideSecret replaces each value of a Secret by a word that is the same on both sides exactly if the value is.
func hideSecret(live, after *unstructured.Unstructured) {
	if live.GetKind() != "Secret" && after.GetKind() != "Secret" {
		return
	}
	for _, field := range []string{"data", "stringData"} {
		before, _, _ := unstructured.NestedMap(live.Object, field)
		now, _, _ := unstructured.NestedMap(after.Object, field)
		hideValues(live, field, before, now, "***** (in the cluster)")
		hideValues(after, field, now, before, "***** (applied)")
	}
}

func hideValues(obj *unstructured.Unstructured, field string, values, others map[string]any, different string) {
	if values == nil {
		return
	}
	hidden := make(map[string]any, len(values))
	for key, value := range values {
		hidden[key] = different
		if other, both := others[key]; both && other == value {
			hidden[key] = "*****"
		}
	}
	obj.Object[field] = hidden
}
