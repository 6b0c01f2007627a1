package kube

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/object"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Ref names one object of a cluster, and the version of the API that it is spoken of in. It is comparable. The same object may
// be named in several versions; compare Unversioned references where that matters.
type Ref struct {
	Group, Version, Kind, Namespace, Name string
}

// RefOf returns the reference to an object.
func RefOf(obj *unstructured.Unstructured) Ref {
	gvk := obj.GroupVersionKind()
	return Ref{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// ParseRef reads what String wrote: "namespace_name_group_kind", the id of Flux's inventory entries. It has no version.
func ParseRef(id string) (Ref, error) {
	m, err := object.ParseObjMetadata(id)
	if err != nil {
		return Ref{}, fmt.Errorf("parse inventory id %q: want namespace_name_group_kind", id)
	}
	if m.Name == "" || m.GroupKind.Kind == "" {
		return Ref{}, fmt.Errorf("parse inventory id %q: name and kind must not be empty", id)
	}
	return Ref{Group: m.GroupKind.Group, Kind: m.GroupKind.Kind, Namespace: m.Namespace, Name: m.Name}, nil
}

// String returns the id of the object in Flux's inventories: "namespace_name_group_kind". A ":" in the name of a role or a
// binding becomes "__".
func (r Ref) String() string {
	return object.ObjMetadata{Namespace: r.Namespace, Name: r.Name, GroupKind: r.GroupKind()}.String()
}

// GroupKind returns the kind of the object with its group.
func (r Ref) GroupKind() schema.GroupKind {
	return schema.GroupKind{Group: r.Group, Kind: r.Kind}
}

// GroupVersionKind returns the kind of the object with its group and version.
func (r Ref) GroupVersionKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
}

// Unversioned returns the reference without the version: what identifies the object.
func (r Ref) Unversioned() Ref {
	r.Version = ""
	return r
}

// Subject returns the reference as people write it: "Deployment/shop/cart", without the namespace where there is none.
func (r Ref) Subject() string {
	if r.Namespace == "" {
		return r.Kind + "/" + r.Name
	}
	return r.Kind + "/" + r.Namespace + "/" + r.Name
}

// Compare orders references by namespace, name, group, kind and version.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		strings.Compare(r.Namespace, o.Namespace),
		strings.Compare(r.Name, o.Name),
		strings.Compare(r.Group, o.Group),
		strings.Compare(r.Kind, o.Kind),
		strings.Compare(r.Version, o.Version),
	)
}

// Older tells whether resource version a was given before b. Versions that can't be compared are not older.
func Older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}
