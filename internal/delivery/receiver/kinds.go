package receiver

import (
	"fmt"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The groups of the kinds that a Receiver may name.
const (
	groupSource     = "source.toolkit.fluxcd.io"
	groupKustomize  = "kustomize.toolkit.fluxcd.io"
	groupHelm       = "helm.toolkit.fluxcd.io"
	groupImage      = "image.toolkit.fluxcd.io"
	groupExtensions = "source.extensions.fluxcd.io"
)

// groupOf returns the group of a kind that a Receiver may name, or nothing.
func groupOf(kind string) string {
	switch kind {
	case "Bucket", "GitRepository", "HelmChart", "HelmRepository", "OCIRepository", "ExternalArtifact":
		return groupSource
	case "Kustomization":
		return groupKustomize
	case "HelmRelease":
		return groupHelm
	case "ImageRepository", "ImagePolicy", "ImageUpdateAutomation":
		return groupImage
	case "ArtifactGenerator":
		return groupExtensions
	}
	return ""
}

// kindOf returns the kind that a resource means, without a version where the resource names none. The group is never taken from the
// resource: a Receiver must not make the agent write to anything but these kinds.
func kindOf(r apiv1.ReceiverResource) (schema.GroupVersionKind, error) {
	group := groupOf(r.Kind)
	if group == "" {
		return schema.GroupVersionKind{}, fmt.Errorf("kind %s can't be woken by a Receiver", r.Kind)
	}
	gvk := schema.GroupVersionKind{Group: group, Kind: r.Kind}
	if r.APIVersion == "" {
		return gvk, nil
	}
	gv, err := schema.ParseGroupVersion(r.APIVersion)
	if err != nil || gv.Group != group {
		return gvk, fmt.Errorf("apiVersion %q isn't one of %s, which is in the group %s; correct it, or leave it out", r.APIVersion, r.Kind, group)
	}
	gvk.Version = gv.Version
	return gvk, nil
}
