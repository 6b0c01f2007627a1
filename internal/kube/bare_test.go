package kube_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestBare(t *testing.T) {
	live := func() *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"uid": "a person's"}, "status": map[string]any{},
			"metadata": map[string]any{
				"name": "web", "labels": map[string]any{"generation": "3"}, "finalizers": []any{"a"},
				"uid": "u", "resourceVersion": "1", "generation": int64(1), "creationTimestamp": "t", "managedFields": []any{}, "selfLink": "s",
				"deletionTimestamp": "t", "deletionGracePeriodSeconds": int64(1),
			},
		}}
	}
	o := live()
	want := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"uid": "a person's"},
		"metadata": map[string]any{"name": "web", "labels": map[string]any{"generation": "3"}},
	}
	if diff := cmp.Diff(want, kube.Bare(o, []string{"status"}, []string{"metadata", "finalizers"}, []string{"spec", "none"}).Object); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(live().Object, o.Object); diff != "" {
		t.Errorf("the object itself is another one (-want +got):\n%s", diff)
	}
	empty := &unstructured.Unstructured{Object: map[string]any{"metadata": "none"}}
	if diff := cmp.Diff(empty.Object, kube.Bare(empty).Object); diff != "" {
		t.Errorf("an object without metadata (-want +got):\n%s", diff)
	}
}
