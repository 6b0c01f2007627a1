package v1alpha1_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// normal brings a value into the form that JSON gives it, so that numbers compare.
func normal(t *testing.T, value any) (out any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// within returns of got what want has a say on: keys of maps that want lacks are left out.
func within(want, got any) any {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return got
		}
		out := map[string]any{}
		for key, value := range w {
			if inner, has := g[key]; has {
				out[key] = within(value, inner)
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return got
		}
		out := make([]any, len(g))
		for i := range g {
			out[i] = within(w[i], g[i])
		}
		return out
	}
	return got
}

// paths adds the paths of all values below value.
func paths(path string, value any, seen map[string]bool) {
	seen[path] = true
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			paths(path+"."+key, inner, seen)
		}
	case []any:
		for _, inner := range v {
			paths(path, inner, seen)
		}
	}
}

// missing lists the fields of a type that no value was seen of. What the Kubernetes libraries define has one value.
func missing(path string, t reflect.Type, seen map[string]bool) (lacks []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || strings.Contains(t.PkgPath(), "k8s.io/") {
		if !seen[path] {
			lacks = append(lacks, path)
		}
		return lacks
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := path + "." + name
		if f.Anonymous {
			inner = path
		}
		lacks = append(lacks, missing(inner, f.Type, seen)...)
	}
	return lacks
}
