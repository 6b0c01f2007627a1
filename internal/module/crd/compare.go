package crd

import (
	"errors"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

type definition = apiextensionsv1.CustomResourceDefinition

// Change is a definition that is to take another's place.
type Change struct {
	// Live is the definition in the cluster, with its status. Nil: there is none yet.
	Live *apiextensionsv1.CustomResourceDefinition
	// Next is the definition of the next version of the package. Nil: it has none any more.
	Next *apiextensionsv1.CustomResourceDefinition
	// Used are the versions that somebody works with.
	Used []Use
	// Others are other definitions of the cluster, whose names the next one may collide with. Live and Next among them are passed over.
	Others []*apiextensionsv1.CustomResourceDefinition
	// ConvertsBack is the author's declaration that the conversion webhooks of both versions convert both ways.
	ConvertsBack bool
}

// Use is somebody who works with a version of the kind.
type Use struct {
	// Version is v1beta1, for instance.
	Version string
	// By is who: "module flagger", "3 objects (the first is apps/web)".
	By string
}

var (
	// ErrNothing is returned where there is neither a live nor a next definition.
	ErrNothing = errors.New("neither a live nor a next definition")
	// ErrNotSame is returned for two definitions of different names: they have nothing to do with each other.
	ErrNotSame = errors.New("definitions of different names")
)

// same holds a pair of definitions to being versions of one.
func same(live, next *definition) error {
	if live == nil && next == nil {
		return ErrNothing
	}
	if live != nil && next != nil && live.Name != next.Name {
		return fmt.Errorf("%w: %s and %s", ErrNotSame, live.Name, next.Name)
	}
	return nil
}

// Compare judges a change in both directions. It fails with ErrNothing and ErrNotSame only.
func Compare(c Change) (Report, error) {
	if err := same(c.Live, c.Next); err != nil {
		return Report{}, err
	}
	c.Live, c.Next = normal(c.Live), normal(c.Next)
	var r Report
	switch {
	case c.Next == nil:
		r.Name = c.Live.Name
		r.add(Forward, DefinitionRemoved, "", "", "")
		r.add(Backward, DefinitionRemoved, "", "", "")
	case c.Live == nil:
		r.Name = c.Next.Name
		r.add(Backward, DefinitionAdded, "", "", "")
		sizes(&r, c)
		collisions(&r, c)
	default:
		r.Name = c.Next.Name
		for _, judge := range []func(*Report, Change){sizes, collisions, names, wholes, conversion, versions, schemas, crossVersions} {
			judge(&r, c)
		}
	}
	r.sort()
	return r, nil
}

// wholes judges what is said once for all versions.
func wholes(r *Report, c Change) {
	both(r, c, func(d Direction, a, b *definition) {
		if a.Spec.Scope != b.Spec.Scope {
			r.add(d, ScopeChanged, "", "spec.scope", fmt.Sprintf("%s to %s", a.Spec.Scope, b.Spec.Scope))
		}
		if a.Spec.PreserveUnknownFields && !b.Spec.PreserveUnknownFields {
			r.add(d, UnknownFieldsDropped, "", "spec.preserveUnknownFields", "")
		}
	})
}

// both asks the same in both directions.
func both(r *Report, c Change, judge func(d Direction, a, b *definition)) {
	judge(Forward, c.Live, c.Next)
	judge(Backward, c.Next, c.Live)
}

// schemas compares the versions that both definitions have, each with itself.
func schemas(r *Report, c Change) {
	both(r, c, func(d Direction, a, b *definition) {
		for _, was := range a.Spec.Versions {
			is := version(b, was.Name)
			if is == nil || !(was.Served || was.Storage || stored(c.Live)[was.Name]) {
				continue
			}
			for _, f := range compareSchemas(schemaOf(was), schemaOf(*is)) {
				r.add(d, f.code, was.Name, f.path, f.detail)
			}
		}
	})
}

func schemaOf(v apiextensionsv1.CustomResourceDefinitionVersion) *schema {
	if v.Schema == nil {
		return nil
	}
	return v.Schema.OpenAPIV3Schema
}
