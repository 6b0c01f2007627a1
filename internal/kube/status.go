package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// PatchStatus brings the status of an object from that of before to that of after: nothing when they are equal, else one patch
// on the status subresource, written as fieldOwner. There is no optimistic lock on the resource version: whoever calls
// owns the status alone. The patch names the object's UID, so that the API server refuses it for a namesake created meanwhile.
//
// The resource version that the write made is returned; without a write, that of after. It is stored in after too, unless somebody else
// has changed the rest of the object meanwhile: after isn't as it is in that version then, and a lock on it has to fail.
//
// Of all ways to write a status this one costs the API server the least: a JSON patch of the fields that changed is applied
// without decoding the rest, and only the object's metadata is sent back.
func PatchStatus(ctx context.Context, c client.Client, before, after client.Object, fieldOwner string) (version string, err error) {
	old, err := statusOf(before)
	if err != nil {
		return "", fmt.Errorf("read old status: %w", err)
	}
	want, err := statusOf(after)
	if err != nil {
		return "", fmt.Errorf("read new status: %w", err)
	}
	if reflect.DeepEqual(old, want) {
		return after.GetResourceVersion(), nil
	}
	patch, err := json.Marshal(statusPatch(after.GetUID(), old, want))
	if err != nil {
		return "", fmt.Errorf("compare status: %w", err)
	}
	answer, err := metadataOf(c, after)
	if err != nil {
		return "", err
	}
	if err := c.Status().Patch(ctx, answer, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(fieldOwner)); err != nil {
		return "", fmt.Errorf("patch status of %s/%s: %w", after.GetNamespace(), after.GetName(), err)
	}
	if sameButStatus(after, answer) {
		after.SetResourceVersion(answer.ResourceVersion)
	}
	return answer.ResourceVersion, nil
}

// sameButStatus tells whether two states of one object differ in nothing but the status: a change of the spec is a new generation.
func sameButStatus(a, b client.Object) bool {
	return a.GetGeneration() == b.GetGeneration() && a.GetDeletionTimestamp().Equal(b.GetDeletionTimestamp()) &&
		maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations()) &&
		slices.Equal(a.GetFinalizers(), b.GetFinalizers()) && apiequality.Semantic.DeepEqual(a.GetOwnerReferences(), b.GetOwnerReferences())
}

// PatchMetadata brings the metadata of an object from that of before to that of after, if the object is still as before. The two must
// not differ otherwise. The resource version that the write made is stored in after.
func PatchMetadata(ctx context.Context, c client.Client, before, after client.Object, fieldOwner string) error {
	patch, err := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}).Data(after)
	if err != nil {
		return fmt.Errorf("compare metadata: %w", err)
	}
	answer, err := metadataOf(c, after)
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("patch %s/%s: %w", after.GetNamespace(), after.GetName(), err)
	}
	after.SetResourceVersion(answer.ResourceVersion)
	return nil
}

// metadataOf names obj for a request of which only the metadata should be sent back.
func metadataOf(c client.Client, obj client.Object) (*metav1.PartialObjectMetadata, error) {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return nil, fmt.Errorf("tell the kind of %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	out := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
	out.SetGroupVersionKind(gvk)
	return out, nil
}

// statusOf returns the status of an object as it is written.
func statusOf(obj client.Object) (map[string]any, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	status, _ := fields["status"].(map[string]any)
	return status, nil
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// statusPatch makes one status of the other. A field that goes is set before it is removed: to remove what isn't there is an error.
func statusPatch(uid types.UID, old, want map[string]any) []operation {
	var ops []operation
	if uid != "" {
		ops = append(ops, operation{"test", "/metadata/uid", string(uid)})
	}
	if len(old) == 0 {
		return append(ops, operation{"add", "/status", want})
	}
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(old[field], want[field]) {
			ops = append(ops, operation{"add", statusPath(field), want[field]})
		}
	}
	for _, field := range slices.Sorted(maps.Keys(old)) {
		if _, stays := want[field]; !stays {
			ops = append(ops, operation{"add", statusPath(field), nil}, operation{"remove", statusPath(field), nil})
		}
	}
	return ops
}

// statusPath is a field's JSON pointer.
func statusPath(field string) string {
	return "/status/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(field)
}
