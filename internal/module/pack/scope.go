package pack

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// clusterWide are the kinds of Kubernetes whose objects have no namespace, by group.
func clusterWide() map[string]string {
	return map[string]string{
		"":                             "Namespace Node PersistentVolume ComponentStatus",
		"admissionregistration.k8s.io": "*",
		"apiextensions.k8s.io":         "*",
		"apiregistration.k8s.io":       "*",
		"authentication.k8s.io":        "*",
		"certificates.k8s.io":          "CertificateSigningRequest ClusterTrustBundle",
		"flowcontrol.apiserver.k8s.io": "*",
		"internal.apiserver.k8s.io":    "*",
		"networking.k8s.io":            "IngressClass IPAddress ServiceCIDR",
		"node.k8s.io":                  "*",
		"rbac.authorization.k8s.io":    "ClusterRole ClusterRoleBinding",
		"resource.k8s.io":              "DeviceClass ResourceSlice DeviceTaintRule",
		"scheduling.k8s.io":            "PriorityClass",
		"storage.k8s.io":               "StorageClass VolumeAttachment CSIDriver CSINode VolumeAttributesClass",
		"storagemigration.k8s.io":      "*",
	}
}

// place gives a namespace to the objects that have one and don't say which, and takes it from those that have none.
func place(objects []*unstructured.Unstructured, namespace string, ask func(schema.GroupKind) (bool, bool)) {
	known := scopes(objects)
	wide := clusterWide()
	for _, o := range objects {
		gk := o.GroupVersionKind().GroupKind()
		namespaced, ok := known[gk]
		if !ok {
			namespaced, ok = builtin(gk, wide)
		}
		if !ok && ask != nil {
			namespaced, ok = ask(gk)
		}
		switch {
		case ok && namespaced && o.GetNamespace() == "":
			o.SetNamespace(namespace)
		case ok && !namespaced && o.GetNamespace() != "":
			o.SetNamespace("")
		}
	}
}

// builtin says whether the objects of a kind of Kubernetes have a namespace.
func builtin(gk schema.GroupKind, wide map[string]string) (namespaced, known bool) {
	kinds, listed := wide[gk.Group]
	if !listed && !clientscheme.Scheme.IsGroupRegistered(gk.Group) {
		return false, false
	}
	if kinds == "*" {
		return false, true
	}
	for _, kind := range strings.Fields(kinds) {
		if kind == gk.Kind {
			return false, true
		}
	}
	return true, true
}

// scopes are those of the kinds that the objects define themselves.
func scopes(objects []*unstructured.Unstructured) map[schema.GroupKind]bool {
	all := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.GroupVersionKind().GroupKind() != (schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")        // What isn't there is no kind that an object could have.
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind") // As above.
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")        // As above.
		all[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	return all
}
