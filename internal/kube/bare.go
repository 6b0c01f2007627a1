package kube

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ServerWrites tells whether only the API server writes a field of the metadata of objects: whatever others say of it counts for nothing.
func ServerWrites(field string) bool {
	switch field {
	case "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds":
		return true
	}
	return false
}

// Bare returns a copy of an object without the metadata that only the API server writes, and without more of its fields, each as a path.
func Bare(o *unstructured.Unstructured, without ...[]string) *unstructured.Unstructured {
	out := o.DeepCopy()
	if metadata, ok := out.Object["metadata"].(map[string]any); ok {
		for field := range metadata {
			if ServerWrites(field) {
				delete(metadata, field)
			}
		}
	}
	for _, path := range without {
		unstructured.RemoveNestedField(out.Object, path...)
	}
	return out
}
