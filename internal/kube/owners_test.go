package kube_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/kube"
)

func TestFieldOwners(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "web", "finalizers": []any{"a", "b"}},
		"spec": map[string]any{
			"replicas": int64(3),
			"selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
			"containers": []any{
				map[string]any{"name": "proxy", "image": "proxy:1"},
				map[string]any{"name": "web", "image": "web:1", "args": []any{"-v"}, "ports": []any{
					map[string]any{"containerPort": int64(80), "protocol": "TCP"},
				}},
			},
		},
	}}
	early, late := metav1.NewTime(time.Unix(1000, 0)), metav1.NewTime(time.Unix(2000, 0))
	entry := func(manager string, at metav1.Time, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Time: &at, FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	obj.SetManagedFields([]metav1.ManagedFieldsEntry{
		entry("git", early, `{"f:metadata":{"f:finalizers":{".":{},"v:\"a\"":{}}},"f:spec":{"f:replicas":{},"f:selector":{},
			"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:name":{},"f:image":{},"f:args":{},
			"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}`),
		entry("kubectl-edit", late, `{"f:spec":{"f:replicas":{},"f:containers":{"k:{\"name\":\"proxy\"}":{"f:image":{}}}}}`),
	})
	for name, tc := range map[string]struct {
		reason string
		path   []any
		want   []string
	}{
		"Shared":        {"the latest is first", []any{"spec", "replicas"}, []string{"kubectl-edit", "git"}},
		"Whole":         {"a map that is managed as one", []any{"spec", "selector", "matchLabels", "app"}, []string{"git"}},
		"KeyedElement":  {"by its key, not its position", []any{"spec", "containers", 1, "image"}, []string{"git"}},
		"OtherElement":  {"another's", []any{"spec", "containers", 0, "image"}, []string{"kubectl-edit"}},
		"AtomicList":    {"its elements have no entry of their own", []any{"spec", "containers", 1, "args", 0}, []string{"git"}},
		"KeyWithNumber": {"numbers in keys", []any{"spec", "containers", 1, "ports", 0, "containerPort"}, []string{"git"}},
		"Defaulted":     {"nobody has set it", []any{"spec", "containers", 1, "ports", 0, "protocol"}, nil},
		"SetElement":    {"by its value", []any{"metadata", "finalizers", 0}, []string{"git"}},
		"Unmanaged":     {"by its value", []any{"metadata", "finalizers", 1}, nil},
		"NotThere":      {"no such field", []any{"spec", "nosuch"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, o := range kube.FieldOwners(obj, tc.path) {
				got = append(got, o.Manager)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
