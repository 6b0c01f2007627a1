package revision

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Step is a part of a revision: objects that are applied together, before those of the next step.
type Step struct {
	Name    v1alpha1.RevisionStep
	Objects []*unstructured.Unstructured
}

// Order is the order in which steps are applied.
func Order() []v1alpha1.RevisionStep {
	return []v1alpha1.RevisionStep{
		v1alpha1.StepNamespaces, v1alpha1.StepDefinitions, v1alpha1.StepRoles, v1alpha1.StepConfiguration, v1alpha1.StepWorkloads, v1alpha1.StepWebhooks,
	}
}

// Split sorts objects into steps by their kind, and within a step by kind, namespace and name. Steps without objects are left out. The
// same objects in another order give the same steps. The objects aren't copied.
func Split(objects []*unstructured.Unstructured) []Step {
	by := map[v1alpha1.RevisionStep][]*unstructured.Unstructured{}
	for _, o := range objects {
		name := StepOf(o.GroupVersionKind().GroupKind())
		by[name] = append(by[name], o)
	}
	var steps []Step
	for _, name := range Order() {
		if in := by[name]; len(in) > 0 {
			slices.SortStableFunc(in, compare)
			steps = append(steps, Step{Name: name, Objects: in})
		}
	}
	return steps
}

func compare(a, b *unstructured.Unstructured) int {
	g, h := a.GroupVersionKind(), b.GroupVersionKind()
	return cmp.Or(
		strings.Compare(g.Group, h.Group), strings.Compare(g.Kind, h.Kind), strings.Compare(a.GetNamespace(), b.GetNamespace()),
		strings.Compare(a.GetName(), b.GetName()), strings.Compare(g.Version, h.Version),
	)
}

// Objects returns the objects of all steps, in their order.
func Objects(steps []Step) []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, s := range steps {
		all = append(all, s.Objects...)
	}
	return all
}

// StepOf returns the step that objects of a kind belong to.
//
// Configuration is only what is healthy by being there: the next step waits for it. What may become healthy only when something runs
// (a volume that waits for its first pod, a load balancer, every custom resource) is applied together with the workloads, and what is
// asked about other objects comes last, when somebody answers.
func StepOf(gk schema.GroupKind) v1alpha1.RevisionStep {
	switch gk {
	case schema.GroupKind{Kind: "Namespace"}:
		return v1alpha1.StepNamespaces
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return v1alpha1.StepDefinitions
	case schema.GroupKind{Kind: "ServiceAccount"}:
		return v1alpha1.StepRoles
	case schema.GroupKind{Kind: "ConfigMap"}, schema.GroupKind{Kind: "Secret"}, schema.GroupKind{Kind: "LimitRange"},
		schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"},
		schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"},
		schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
		schema.GroupKind{Group: "node.k8s.io", Kind: "RuntimeClass"},
		schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"},
		schema.GroupKind{Group: "storage.k8s.io", Kind: "CSIDriver"},
		schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: v1alpha1.InterpreterKind}:
		return v1alpha1.StepConfiguration
	}
	switch gk.Group {
	case "rbac.authorization.k8s.io":
		return v1alpha1.StepRoles
	case "admissionregistration.k8s.io", "apiregistration.k8s.io":
		return v1alpha1.StepWebhooks
	}
	return v1alpha1.StepWorkloads
}
