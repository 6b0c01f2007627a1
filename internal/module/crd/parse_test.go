package crd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/module/crd"
)

const minimal = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.harbour.test}
spec:
  group: harbour.test
  scope: Namespaced
  names: {kind: Ship, plural: ships}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
	}{
		"nothing":            {"an empty file is no definition", ""},
		"not YAML":           {"", "{"},
		"another kind":       {"", "apiVersion: v1\nkind: ConfigMap\n"},
		"another version":    {"v1beta1 has been gone since Kubernetes 1.22", strings.Replace(minimal, "k8s.io/v1", "k8s.io/v1beta1", 1)},
		"unknown field":      {"what it means can't be judged", strings.Replace(minimal, "scope:", "scopes: 1\n  scope:", 1)},
		"unknown in schema":  {"the same", strings.Replace(minimal, "{type: object}", "{type: object, x-kubernetes-new: true}", 1)},
		"key twice":          {"one of them would be lost", minimal + "  scope: Cluster\n"},
		"wrong name":         {"the API server refuses it", strings.Replace(minimal, "ships.harbour", "boats.harbour", 1)},
		"no kind":            {"", strings.Replace(minimal, "kind: Ship, ", "", 1)},
		"no schema":          {"nothing to compare", strings.Replace(minimal, ", schema: {openAPIV3Schema: {type: object}}", "", 1)},
		"no stored version":  {"", strings.Replace(minimal, "storage: true", "storage: false", 1)},
		"two stored":         {"", minimal + "  - {name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n"},
		"version twice":      {"", minimal + "  - {name: v1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}\n"},
		"too large":          {"it is not even read", minimal + "# " + strings.Repeat("x", crd.MaxBytes)},
		"too deep":           {"a walk would not end in time", strings.Replace(minimal, "{type: object}", strings.Repeat("{type: array, items: ", 300)+"{type: string}"+strings.Repeat("}", 300), 1)},
		"wrong type of name": {"", strings.Replace(minimal, "{name: ships.harbour.test}", "[]", 1)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if d, err := crd.Parse([]byte(tc.text)); !errors.Is(err, crd.ErrInvalid) {
				t.Errorf("%s: got %v, %v", tc.reason, d, err)
			}
		})
	}
	if _, err := crd.Parse([]byte(minimal)); err != nil {
		t.Errorf("the definition that all of these are made of: %v", err)
	}
}

// Whatever can be read can be compared with itself, which finds nothing, and has steps to itself, which do nothing.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(strings.Replace(minimal, "{type: object}", "{type: object, properties: {a: {anyOf: [{type: integer}], default: {b: 1}, enum: [1.0]}}, additionalProperties: true}", 1)))
	f.Add([]byte(strings.Replace(minimal, "scope:", "conversion: {strategy: Webhook}\n  scope:", 1)))
	paths, _ := filepath.Glob("testdata/*/*.yaml")
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := crd.Parse(text)
		if err != nil {
			if !errors.Is(err, crd.ErrInvalid) {
				t.Fatalf("not a typed error: %v", err)
			}
			return
		}
		r := compare(t, crd.Change{Live: live(d), Next: d})
		for _, f := range r.Findings {
			if f.Code != crd.ConversionWebhook && f.Code != crd.TooLarge && f.Code != crd.Large {
				t.Fatalf("nothing changed, but %s", f)
			}
		}
		s, err := crd.TwoStep(live(d), d)
		if err != nil || s.Migrate || !cmp.Equal(s.First, s.Final) || !cmp.Equal(s.First.Spec, d.Spec) {
			t.Fatalf("steps to itself: %v", err)
		}
	})
}
