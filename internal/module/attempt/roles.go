package attempt

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/kube"
)

// widened returns the objects of a step with roles such that each role allows all that it allows in any of the others, too, and each
// binding binds all whom it binds there. So nobody who works loses a right as long as it isn't known who goes. Roles that are put together
// from others by their labels, and bindings to another role, are left as they are.
func widened(objects []*unstructured.Unstructured, others ...[]*unstructured.Unstructured) []*unstructured.Unstructured {
	out := make([]*unstructured.Unstructured, len(objects))
	for i, o := range objects {
		out[i] = o.DeepCopy()
		field := manifold(o)
		if field == "" {
			continue
		}
		for _, other := range others {
			for _, twin := range other {
				if kube.RefOf(twin).Unversioned() == kube.RefOf(o).Unversioned() && sameRole(o, twin) {
					union(out[i], twin, field)
				}
			}
		}
	}
	return out
}

// manifold is the field of a role or a binding that holds what it gives; "" for all else.
func manifold(o *unstructured.Unstructured) string {
	if o.GroupVersionKind().Group != "rbac.authorization.k8s.io" {
		return ""
	}
	switch o.GetKind() {
	case "Role", "ClusterRole":
		if _, aggregated := o.Object["aggregationRule"]; aggregated {
			return ""
		}
		return "rules"
	case "RoleBinding", "ClusterRoleBinding":
		return "subjects"
	}
	return ""
}

func sameRole(a, b *unstructured.Unstructured) bool {
	return text(a.Object["roleRef"]) == text(b.Object["roleRef"])
}

// union adds to a list of an object what the other one has in it.
func union(o, twin *unstructured.Unstructured, field string) {
	mine, _ := o.Object[field].([]any)
	theirs, _ := twin.Object[field].([]any)
	for _, one := range theirs {
		if !slices.ContainsFunc(mine, func(have any) bool { return text(have) == text(one) }) {
			mine = append(mine, one)
		}
	}
	if mine != nil {
		o.Object[field] = mine
	}
}

func text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(raw)
}
