package upgrade

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OwnerOf names who else keeps an object as it is: Helm, Flux or Argo CD, by the marks that they leave on what they apply. Empty: nobody.
// Such an owner would undo an upgrade, or be undone by it; so it is only advised.
func OwnerOf(obj metav1.Object) string {
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	for _, mark := range []struct {
		in         map[string]string
		key, owner string
	}{
		{labels, "helm.toolkit.fluxcd.io/name", "Flux's HelmRelease"},
		{labels, "kustomize.toolkit.fluxcd.io/name", "Flux's Kustomization"},
		{labels, "argocd.argoproj.io/instance", "Argo CD"},
		{annotations, "argocd.argoproj.io/tracking-id", "Argo CD"},
		{annotations, "meta.helm.sh/release-name", "Helm"},
	} {
		if name := mark.in[mark.key]; name != "" {
			return mark.owner + " " + name
		}
	}
	if labels["app.kubernetes.io/managed-by"] == "Helm" {
		return "Helm"
	}
	for _, entry := range obj.GetManagedFields() {
		if entry.Subresource != "" {
			continue
		}
		switch manager := strings.ToLower(entry.Manager); {
		case manager == "helm", manager == "helm-controller", manager == "kustomize-controller", strings.HasPrefix(manager, "argocd"):
			return entry.Manager
		}
	}
	return ""
}
