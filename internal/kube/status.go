package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PatchStatus brings the status of an object from that of before to that of after: nothing when they are equal, else one merge
// patch on the status subresource, written as fieldOwner. There is no optimistic lock on the resource version: whoever calls
// owns the status alone. The patch names the object's UID, so that the API server refuses it for a namesake created meanwhile. What
// the server returns is stored in after.
func PatchStatus(ctx context.Context, c client.Client, before, after client.Object, fieldOwner string) error {
	old, err := statusOf(before)
	if err != nil {
		return fmt.Errorf("read old status: %w", err)
	}
	want, err := statusOf(after)
	if err != nil {
		return fmt.Errorf("read new status: %w", err)
	}
	patch, err := client.MergeFrom(old).Data(want)
	if err != nil {
		return fmt.Errorf("compare status: %w", err)
	}
	if string(patch) == "{}" {
		return nil
	}
	if patch, err = withUID(patch, after.GetUID()); err != nil {
		return err
	}
	if err := c.Status().Patch(ctx, after, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldOwner)); err != nil {
		return fmt.Errorf("patch status of %s/%s: %w", after.GetNamespace(), after.GetName(), err)
	}
	return nil
}

// statusOf returns an object that has nothing but the status of the given one.
func statusOf(obj client.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"apiVersion": "v1", "kind": "Status"}
	if status, ok := fields["status"]; ok && status != nil {
		out["status"] = status
	}
	return &unstructured.Unstructured{Object: out}, nil
}

func withUID(patch []byte, uid types.UID) ([]byte, error) {
	if uid == "" {
		return patch, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(patch, &fields); err != nil {
		return nil, fmt.Errorf("read patch: %w", err)
	}
	fields["metadata"] = map[string]any{"uid": string(uid)}
	return json.Marshal(fields)
}
