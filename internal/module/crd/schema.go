package crd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

type schema = apiextensionsv1.JSONSchemaProps

// found is a difference that matters at one place, before it is known what it means in which direction.
type found struct {
	code   Code
	path   string
	detail string
}

// walk compares two schemas place by place and reports what objects that are valid in a risk under b. Places that only b has are
// fine by definition; the walk in the other direction finds them.
type walk struct {
	rules []rule
	found []found
}

// compareSchemas returns what objects of schema a risk under schema b. A missing schema is one that says nothing.
func compareSchemas(a, b *schema) []found {
	w := walk{rules: rules()}
	w.node("", orEmpty(a), orEmpty(b))
	return w.found
}

func orEmpty(s *schema) *schema {
	if s == nil {
		return &schema{}
	}
	return s
}

func (w *walk) add(code Code, path, detail string) {
	w.found = append(w.found, found{code: code, path: path, detail: detail})
}

func (w *walk) node(path string, a, b *schema) {
	before := len(w.found)
	w.constraints(path, a, b)
	for _, f := range w.found[before:] {
		if f.code == TypeChanged {
			return // nothing below means the same any more; one finding says it
		}
	}
	w.properties(path, a, b)
	w.items(path, a, b)
	w.values(path, a, b)
}

// constraints compares what the schemas say about the value itself. Each rule clears what it has judged; what is left nobody knows.
func (w *walk) constraints(path string, a, b *schema) {
	own := func(s *schema) *schema {
		o := *s
		o.Properties, o.Items, o.AdditionalProperties = nil, nil, nil
		return o.DeepCopy()
	}
	restA, restB := own(a), own(b)
	context := nodes{a: a, b: b}
	for _, judge := range w.rules {
		for _, f := range judge(context, restA, restB) {
			w.add(f.code, path, f.detail)
		}
	}
	if left := differing(restA, restB); len(left) > 0 {
		w.add(Unjudged, path, strings.Join(left, ", "))
	}
}

func (w *walk) properties(path string, a, b *schema) {
	for _, name := range slices.Sorted(maps.Keys(a.Properties)) {
		was := a.Properties[name]
		place := path + step(name)
		if is, ok := b.Properties[name]; ok {
			w.node(place, &was, &is)
			continue
		}
		if open := b.AdditionalProperties; open != nil && (open.Allows || open.Schema != nil) {
			w.node(place, &was, orFree(open.Schema))
			continue
		}
		if !keepsUnknown(b) {
			w.add(FieldRemoved, place, "")
		}
	}
}

func (w *walk) items(path string, a, b *schema) {
	if a.Items == nil && b.Items == nil {
		return
	}
	var was, is *schema
	if a.Items != nil {
		was = a.Items.Schema
	}
	if b.Items != nil {
		is = b.Items.Schema
	}
	// The API server takes one schema for all items, never one for each.
	w.node(path+"[*]", orFree(was), orFree(is))
}

func (w *walk) values(path string, a, b *schema) {
	was, is := a.AdditionalProperties, b.AdditionalProperties
	switch {
	case was == nil || (was.Schema == nil && !was.Allows):
	case is == nil || (is.Schema == nil && !is.Allows):
		if !keepsUnknown(b) {
			w.add(FieldRemoved, path+".*", "")
		}
	default:
		w.node(path+".*", orFree(was.Schema), orFree(is.Schema))
	}
}

// orFree is the schema, or one that takes everything and keeps it.
func orFree(s *schema) *schema {
	if s == nil {
		keep := true
		return &schema{XPreserveUnknownFields: &keep}
	}
	return s
}

func keepsUnknown(s *schema) bool {
	return s.XPreserveUnknownFields != nil && *s.XPreserveUnknownFields
}

// plain is whether a field's name can be written after a dot without doubt.
func plain(name string) bool {
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '_' && r != '-' && r != '$' {
			return false
		}
	}
	return name != ""
}

// step is one more part of a path.
func step(name string) string {
	if plain(name) {
		return "." + name
	}
	return fmt.Sprintf("[%q]", name)
}
