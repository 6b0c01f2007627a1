package kube

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KeeperKind is what keeps objects as they are written down somewhere.
type KeeperKind string

// The keepers that leave marks on what they apply.
const (
	KeeperHelm          KeeperKind = "Helm release"
	KeeperHelmRelease   KeeperKind = "HelmRelease"
	KeeperKustomization KeeperKind = "Kustomization"
	KeeperArgoCD        KeeperKind = "Argo CD application"
	KeeperFlux          KeeperKind = "Flux" // one of its kinds; nothing says which
	KeeperOLM           KeeperKind = "Operator Lifecycle Manager"
)

// Keeper is somebody who applies an object, and would change it back. The zero value is nobody.
type Keeper struct {
	Kind KeeperKind
	// Name of the release, the application and so on, with its namespace before it (web/shop) where it is known. Empty: nothing says it.
	Name string
}

// String says who it is: "Helm release web/shop".
func (k Keeper) String() string {
	switch {
	case k.Name != "":
		return string(k.Kind) + " " + k.Name
	case k.Kind == KeeperHelm:
		return "Helm"
	case k.Kind == KeeperArgoCD:
		return "Argo CD"
	}
	return string(k.Kind)
}

// KeeperOf finds who else keeps an object as it is, by the marks that Helm, Flux, Argo CD and OLM leave, and by the managers of its fields.
// Anybody may write all of that: it is a reason to be careful, and no proof.
func KeeperOf(obj metav1.Object) Keeper {
	labels, notes := obj.GetLabels(), obj.GetAnnotations()
	// Flux's marks come first: its HelmReleases leave those of Helm, too.
	if name := labels["kustomize.toolkit.fluxcd.io/name"]; name != "" {
		return Keeper{KeeperKustomization, within(labels["kustomize.toolkit.fluxcd.io/namespace"], name)}
	}
	if name := labels["helm.toolkit.fluxcd.io/name"]; name != "" {
		return Keeper{KeeperHelmRelease, within(labels["helm.toolkit.fluxcd.io/namespace"], name)}
	}
	if name, _, _ := strings.Cut(notes["argocd.argoproj.io/tracking-id"], ":"); name != "" {
		return Keeper{KeeperArgoCD, name}
	}
	if name := labels["argocd.argoproj.io/instance"]; name != "" {
		return Keeper{KeeperArgoCD, name}
	}
	if name := notes["meta.helm.sh/release-name"]; name != "" {
		return Keeper{KeeperHelm, within(notes["meta.helm.sh/release-namespace"], name)}
	}
	if name := labels["olm.owner"]; name != "" {
		return Keeper{KeeperOLM, name}
	}
	for _, e := range obj.GetManagedFields() {
		switch manager := strings.ToLower(e.Manager); {
		case e.Subresource != "":
		case strings.HasPrefix(manager, "argocd"):
			return Keeper{Kind: KeeperArgoCD}
		case manager == "kustomize-controller", manager == "helm-controller":
			return Keeper{Kind: KeeperFlux}
		case manager == "helm":
			return Keeper{Kind: KeeperHelm}
		}
	}
	if labels["app.kubernetes.io/managed-by"] == "Helm" { // charts write it, whoever applies what they render
		return Keeper{Kind: KeeperHelm}
	}
	return Keeper{}
}

func within(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}
