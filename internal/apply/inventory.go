package apply

import (
	"slices"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/kube"
)

// Inventory returns refs in the form that Flux keeps in a status: in the order in which they are applied, each object once. Where
// an object is named in two versions, the later one in refs counts.
func Inventory(refs []kube.Ref) *kustomizev1.ResourceInventory {
	last := make(map[kube.Ref]kube.Ref, len(refs))
	for _, ref := range refs {
		last[ref.Unversioned()] = ref
	}
	sorted := make([]kube.Ref, 0, len(last))
	for _, ref := range last {
		sorted = append(sorted, ref)
	}
	slices.SortFunc(sorted, compareOrder)
	inv := &kustomizev1.ResourceInventory{Entries: make([]kustomizev1.ResourceRef, len(sorted))}
	for i, ref := range sorted {
		inv.Entries[i] = kustomizev1.ResourceRef{ID: ref.String(), Version: ref.Version}
	}
	return inv
}

// Refs returns the objects of an inventory. Entries that nobody can read are left out.
func Refs(inv *kustomizev1.ResourceInventory) []kube.Ref {
	if inv == nil {
		return nil
	}
	refs := make([]kube.Ref, 0, len(inv.Entries))
	for _, e := range inv.Entries {
		ref, err := kube.ParseRef(e.ID)
		if err != nil {
			continue
		}
		ref.Version = e.Version
		refs = append(refs, ref)
	}
	return refs
}

// Diff returns the objects of before that are not among those of after, whatever the versions.
func Diff(before, after []kube.Ref) []kube.Ref {
	stays := make(map[kube.Ref]struct{}, len(after))
	for _, ref := range after {
		stays[ref.Unversioned()] = struct{}{}
	}
	var gone []kube.Ref
	for _, ref := range before {
		if _, ok := stays[ref.Unversioned()]; !ok {
			gone = append(gone, ref)
		}
	}
	return gone
}

// Contains tells whether an inventory names an object, in whatever version.
func Contains(inv *kustomizev1.ResourceInventory, ref kube.Ref) bool {
	if inv == nil {
		return false
	}
	id := ref.String()
	return slices.ContainsFunc(inv.Entries, func(e kustomizev1.ResourceRef) bool { return e.ID == id })
}
