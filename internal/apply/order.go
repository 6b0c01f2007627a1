package apply

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
)

// The phases of a set. Each is finished before the next begins.
const (
	phaseDefinitions = iota // namespaces, CRDs: what others need to be accepted at all
	phaseClasses            // what others refer to by class or by role
	phaseRest
	phaseCount
)

var (
	crdKind       = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	namespaceKind = schema.GroupKind{Kind: "Namespace"}
	roleKind      = schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "Role"}
	bindingKind   = schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}
	configMapKind = schema.GroupKind{Kind: "ConfigMap"}
	secretKind    = schema.GroupKind{Kind: "Secret"}
	serviceKind   = schema.GroupKind{Kind: "Service"}
	accountKind   = schema.GroupKind{Kind: "ServiceAccount"}
	ingressKind   = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	podKind       = schema.GroupKind{Kind: "Pod"}
)

// phaseOf returns the phase that a kind is applied in.
func phaseOf(gk schema.GroupKind) int {
	switch {
	case gk == crdKind, gk == namespaceKind:
		return phaseDefinitions
	case gk.Kind == "ClusterRole" && gk.Group == roleKind.Group, strings.HasSuffix(gk.Kind, "Class"):
		return phaseClasses
	}
	return phaseRest
}

// The tiers of a phase: those of one tier are written at once, and before those of the next. What others read comes first, what
// acts on others last, so that nothing runs without what it needs and nothing is intercepted by what isn't there yet.
const (
	tierInputs   = iota // read by workloads
	tierBindings        // refer to inputs
	tierWork            // workloads and every kind that isn't named
	tierTraffic         // lead to workloads or scale them
	tierHooks           // are asked about every later write
	tierCount
)

func tierOf(gk schema.GroupKind) int {
	switch gk.Kind {
	case "ConfigMap", "Secret", "ServiceAccount", "Role", "LimitRange", "ResourceQuota", "PersistentVolume", "PersistentVolumeClaim",
		"NetworkPolicy", "Namespace":
		return tierInputs
	case "RoleBinding", "ClusterRoleBinding", "Service", "CustomResourceDefinition":
		return tierBindings
	case "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "HTTPRoute", "GRPCRoute":
		return tierTraffic
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "APIService":
		return tierHooks
	}
	return tierWork
}

// compareOrder sorts references as they are applied; objects of one kind by namespace and name.
func compareOrder(a, b kube.Ref) int {
	return cmp.Or(
		cmp.Compare(phaseOf(a.GroupKind()), phaseOf(b.GroupKind())),
		cmp.Compare(tierOf(a.GroupKind()), tierOf(b.GroupKind())),
		strings.Compare(a.Kind, b.Kind),
		strings.Compare(a.Group, b.Group),
		a.Compare(b),
	)
}

// tiers splits a list of what has a reference into one list per tier, in order.
func tiers[T any](list []T, ref func(T) kube.Ref) [][]T {
	out := make([][]T, tierCount)
	for _, t := range list {
		tier := tierOf(ref(t).GroupKind())
		out[tier] = append(out[tier], t)
	}
	return slices.DeleteFunc(out, func(l []T) bool { return len(l) == 0 })
}
