package crd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/crd"
)

func TestMain(m *testing.M) { labtest.Main(m) }

type definition = apiextensionsv1.CustomResourceDefinition

// read returns a definition of testdata.
func read(t testing.TB, path string) *definition {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func parse(t testing.TB, text string) *definition {
	t.Helper()
	d, err := crd.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return d
}

// ship is a definition with the versions that the words name: "v1" is served and stored, "v1-" is stored but not served, "v1beta1+" is
// served only, "v1beta1!" neither. The schema of spec of each is in schemas, {type: object} if it isn't.
func ship(t testing.TB, words string, schemas map[string]string, edits ...func(*definition)) *definition {
	t.Helper()
	var versions strings.Builder
	for _, word := range strings.Fields(words) {
		name := strings.TrimRight(word, "+-!")
		served, storage := !strings.ContainsAny(word, "-!"), !strings.ContainsAny(word, "+!")
		spec := schemas[name]
		if spec == "" {
			spec = "{type: object}"
		}
		fmt.Fprintf(&versions, `
  - name: %s
    served: %t
    storage: %t
    schema: {openAPIV3Schema: {type: object, properties: {spec: %s}}}`, name, served, storage, spec)
	}
	d := parse(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.harbour.test}
spec:
  group: harbour.test
  scope: Namespaced
  names: {kind: Ship, plural: ships}
  versions:`+versions.String())
	for _, edit := range edits {
		edit(d)
	}
	return d
}

// live is a definition as the API server would have it: with what it remembers of stored versions.
func live(d *definition, stored ...string) *definition {
	d = d.DeepCopy()
	for _, v := range d.Spec.Versions {
		if v.Storage && !slices.Contains(stored, v.Name) {
			stored = append(stored, v.Name)
		}
	}
	d.Status.StoredVersions = stored
	return d
}

func compare(t testing.TB, c crd.Change) crd.Report {
	t.Helper()
	r, err := crd.Compare(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines are findings in the form that tests compare: direction severity code [version] [path].
func lines(r crd.Report) []string {
	var l []string
	for _, f := range r.Findings {
		l = append(l, strings.Join(strings.Fields(fmt.Sprint(f.Direction, " ", f.Severity, " ", f.Code, " ", strings.ReplaceAll(f.Version, " ", ""), " ", f.Path)), " "))
	}
	return l
}
