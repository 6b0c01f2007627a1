package v1alpha1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// serve returns a client of an API server that knows the kinds, and a namespace there.
func serve(t *testing.T) (client.Client, string) {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t, "slipway.dev_*.yaml")
	return env.Client(t, v1alpha1.AddToScheme), env.Namespace
}

// good returns the objects of testdata, by file and place in it.
func good(t *testing.T) map[string][]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*unstructured.Unstructured{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(document, &obj.Object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all[filepath.Base(file)] = append(all[filepath.Base(file)], obj)
		}
	}
	return all
}

// typed returns an empty object of the kind.
func typed(t *testing.T, kind string) client.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	obj, err := scheme.New(v1alpha1.GroupVersion.WithKind(kind))
	if err != nil {
		t.Fatal(err)
	}
	return obj.(client.Object)
}

// TestGoodObjectsKeepEveryField: what is written through the Go types comes back from the API server, spec and status, and is what the file
// says. Between them the files have every field.
func TestGoodObjectsKeepEveryField(t *testing.T) {
	c, namespace := serve(t)
	for file, objects := range good(t) {
		t.Run(file, func(t *testing.T) {
			seen := map[string]bool{}
			for _, want := range objects {
				obj := typed(t, want.GetKind())
				text, err := want.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				if err := yaml.UnmarshalStrict(text, obj); err != nil {
					t.Fatalf("%s: %v", want.GetName(), err)
				}
				if want.GetKind() == v1alpha1.AgentUpgradeKind {
					obj.SetNamespace(namespace)
				}
				written := obj.DeepCopyObject().(client.Object)
				if err := c.Create(t.Context(), written); err != nil {
					t.Fatalf("create %s: %v", want.GetName(), err)
				}
				t.Cleanup(func() { remove(t, c, written) })
				if _, has := want.Object["status"]; has {
					obj.SetResourceVersion(written.GetResourceVersion())
					obj.SetUID(written.GetUID())
					if err := c.Status().Update(t.Context(), obj); err != nil {
						t.Fatalf("write status of %s: %v", want.GetName(), err)
					}
				}
				got := typed(t, want.GetKind())
				if err := c.Get(t.Context(), client.ObjectKeyFromObject(written), got); err != nil {
					t.Fatal(err)
				}
				read, err := runtime.DefaultUnstructuredConverter.ToUnstructured(got)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range []string{"spec", "status"} {
					if _, has := want.Object[part]; !has {
						continue
					}
					// Defaults may be added to what the file says, nothing may be lost or changed.
					if diff := cmp.Diff(normal(t, want.Object[part]), within(normal(t, want.Object[part]), normal(t, read[part]))); diff != "" {
						t.Errorf("%s of %s (-file +read):\n%s", part, want.GetName(), diff)
					}
					paths(part, want.Object[part], seen)
				}
			}
			var lacks []string
			for _, part := range []string{"Spec", "Status"} {
				if f, has := reflect.TypeOf(typed(t, objects[0].GetKind())).Elem().FieldByName(part); has {
					lacks = append(lacks, missing(strings.ToLower(part), f.Type, seen)...)
				}
			}
			if len(lacks) > 0 {
				t.Errorf("no object in %s has these fields: %s", file, strings.Join(lacks, ", "))
			}
		})
	}
}

func remove(t *testing.T, c client.Client, obj client.Object) {
	t.Helper()
	// The test's own context may have ended by now.
	if err := c.Delete(context.WithoutCancel(t.Context()), obj); client.IgnoreNotFound(err) != nil {
		t.Logf("delete %s: %v", obj.GetName(), err)
	}
}

// TestDefaults: what a short object gets.
func TestDefaults(t *testing.T) {
	c, namespace := serve(t)
	digest := "sha256:" + strings.Repeat("1", 64)
	cases := map[string]struct{ text, want string }{
		"Module": {
			text: "{apiVersion: slipway.dev/v1alpha1, kind: Module, metadata: {name: short}, spec: {source: {oci: {url: 'oci://a/b'}}, " +
				"upgrade: {windows: [{start: '02:00', duration: 1h}]}, uninstall: {}, valuesFrom: [{kind: Secret, name: a}]}}",
			want: "{source: {oci: {url: 'oci://a/b'}}, interval: 10m, rollback: Automatic, revisionHistoryLimit: 3, " +
				"upgrade: {windows: [{start: '02:00', duration: 1h, timeZone: UTC}]}, uninstall: {definitions: Keep}, " +
				"valuesFrom: [{kind: Secret, name: a, key: values.yaml}]}",
		},
		"ModuleGrant": {
			text: "{apiVersion: slipway.dev/v1alpha1, kind: ModuleGrant, metadata: {name: short}, spec: {}}",
			want: "{podSecurity: baseline}",
		},
		"Interpreter": {
			text: "{apiVersion: slipway.dev/v1alpha1, kind: Interpreter, metadata: {name: short}, spec: {target: {group: g, kind: K}, drained: 'true'}}",
			want: "{target: {group: g, kind: K}, drained: 'true', priority: 1000}",
		},
		"AgentUpgrade": {
			text: "{apiVersion: slipway.dev/v1alpha1, kind: AgentUpgrade, metadata: {name: short}, spec: {from: {version: '1', image: 'a@" + digest +
				"', slot: a}, to: {version: '2', image: 'a@" + digest + "', slot: b}}}",
			want: "{from: {version: '1', image: 'a@" + digest + "', slot: a}, to: {version: '2', image: 'a@" + digest +
				"', slot: b}, mode: Slots, probeTimeout: 2m, proveFor: 10m}",
		},
	}
	for kind, tc := range cases {
		t.Run(kind, func(t *testing.T) {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(tc.text), &obj.Object); err != nil {
				t.Fatal(err)
			}
			if kind == v1alpha1.AgentUpgradeKind {
				obj.SetNamespace(namespace)
			}
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { remove(t, c, obj) })
			var want any
			if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normal(t, want), normal(t, obj.Object["spec"])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestKindsAreInTheScheme(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	known := slices.Collect(maps.Keys(scheme.KnownTypes(v1alpha1.GroupVersion)))
	for _, kind := range []string{
		v1alpha1.ModuleKind, v1alpha1.ModuleRevisionKind, v1alpha1.ModuleGrantKind, v1alpha1.InterpreterKind, v1alpha1.AgentUpgradeKind,
	} {
		if !slices.Contains(known, kind) || !slices.Contains(known, kind+"List") {
			t.Errorf("the scheme lacks %s or its list: %v", kind, known)
		}
	}
}
