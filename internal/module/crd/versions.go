package crd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// version returns a version by its name, nil if there is none.
func version(d *definition, name string) *apiextensionsv1.CustomResourceDefinitionVersion {
	for i := range d.Spec.Versions {
		if d.Spec.Versions[i].Name == name {
			return &d.Spec.Versions[i]
		}
	}
	return nil
}

// storage is the version in which objects are written.
func storage(d *definition) string {
	for _, v := range d.Spec.Versions {
		if v.Storage {
			return v.Name
		}
	}
	return ""
}

// stored are the versions in which objects may be stored: those that the API server remembers, and the one it writes.
func stored(d *definition) map[string]bool {
	names := map[string]bool{}
	for _, name := range d.Status.StoredVersions {
		names[name] = true
	}
	if name := storage(d); name != "" {
		names[name] = true
	}
	return names
}

// versions judges which versions come, go and store.
func versions(r *Report, c Change) {
	for _, was := range c.Live.Spec.Versions {
		is := version(c.Next, was.Name)
		if was.Served && (is == nil || !is.Served) {
			var by []string
			for _, u := range c.Used {
				if u.Version == was.Name {
					by = append(by, u.By)
				}
			}
			if len(by) > 0 {
				r.add(Forward, VersionInUse, was.Name, "", strings.Join(by, ", "))
			} else {
				r.add(Forward, VersionRemoved, was.Name, "", "")
			}
		}
		if is != nil {
			subresources(r, was, *is)
		}
	}
	for _, is := range c.Next.Spec.Versions {
		was := version(c.Live, is.Name)
		if is.Served && (was == nil || !was.Served) {
			r.add(Backward, VersionAdded, is.Name, "", "")
		}
		if is.Deprecated && was != nil && !was.Deprecated {
			var words string
			if is.DeprecationWarning != nil {
				words = " (" + *is.DeprecationWarning + ")"
			}
			r.add(Forward, VersionDeprecated, is.Name, "", words)
		}
	}
	storedVersions(r, c)
}

// storedVersions judges where objects are stored before and after.
func storedVersions(r *Report, c Change) {
	for _, name := range slices.Sorted(maps.Keys(stored(c.Live))) {
		switch {
		case version(c.Next, name) != nil:
		case keeps(c.Live, c.Next, name):
			r.add(Forward, StoredVersionRewritten, name, "", "")
		default:
			r.add(Forward, StoredVersionRemoved, name, "", "")
			r.add(Backward, StoredVersionRemoved, name, "", "")
		}
	}
	if from, to := storage(c.Live), storage(c.Next); from != to && from != "" {
		move := fmt.Sprintf("%s, then %s", from, to)
		r.add(Forward, StorageMoves, "", "spec.versions", move)
		r.add(Backward, StorageMoves, "", "spec.versions", move)
	}
}

// crossVersions judges what becomes of objects that are stored in one version and read in another, where nothing converts them.
func crossVersions(r *Report, c Change) {
	if webhook(c.Next) != nil {
		return
	}
	from := storage(c.Live)
	old := version(c.Next, from)
	if old == nil {
		if old = version(c.Live, from); old == nil {
			return
		}
	}
	for _, v := range c.Next.Spec.Versions {
		if v.Name == from || !(v.Storage || v.Served && version(c.Live, v.Name) == nil) {
			continue // what it differs in isn't new
		}
		pair := from + " → " + v.Name
		for _, f := range compareSchemas(schemaOf(*old), schemaOf(v)) {
			r.add(Forward, f.code, pair, f.path, f.detail)
		}
		for _, f := range compareSchemas(schemaOf(v), schemaOf(*old)) {
			if f.code == FieldRemoved {
				r.add(Backward, DroppedUntilCommit, pair, f.path, "")
			}
		}
	}
}

// subresources judges what clients use beside the objects themselves.
func subresources(r *Report, live, next apiextensionsv1.CustomResourceDefinitionVersion) {
	one := func(d Direction, a, b apiextensionsv1.CustomResourceDefinitionVersion) {
		for _, name := range []string{"scale", "status"} {
			switch was, is := hasSubresource(a, name), hasSubresource(b, name); {
			case was && !is:
				r.add(d, SubresourceRemoved, a.Name, "subresources."+name, name)
			case !was && is:
				r.add(d, SubresourceAdded, a.Name, "subresources."+name, name)
			}
		}
		for _, f := range a.SelectableFields {
			if !slices.Contains(b.SelectableFields, f) {
				r.add(d, SelectorRemoved, a.Name, f.JSONPath, "")
			}
		}
	}
	one(Forward, live, next)
	one(Backward, next, live)
}

func hasSubresource(v apiextensionsv1.CustomResourceDefinitionVersion, name string) bool {
	if v.Subresources == nil {
		return false
	}
	if name == "scale" {
		return v.Subresources.Scale != nil
	}
	return v.Subresources.Status != nil
}
