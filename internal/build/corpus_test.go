package build

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const corpus = "testdata/corpus"

func corpusCases(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(corpus)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func corpusTree() Tree { return TreeOf(os.DirFS(corpus)) }

// plainKustomize builds a folder on disk with Kustomize alone.
func plainKustomize(t testing.TB, dir string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	err := withOwnSchema(func() error {
		rendered, err := krusty.MakeKustomizer(&krusty.Options{
			LoadRestrictions: types.LoadRestrictionsNone, PluginConfig: types.DisabledPluginConfig(),
		}).Run(filesys.MakeFsOnDisk(), dir)
		if err != nil {
			return err
		}
		for _, r := range rendered.Resources() {
			content, err := r.MarshalJSON()
			if err != nil {
				return err
			}
			obj := &unstructured.Unstructured{}
			if err := obj.UnmarshalJSON(content); err != nil {
				return err
			}
			objects = append(objects, obj)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("kustomize itself fails on %s: %v", dir, err)
	}
	return objects
}

func TestBuildGivesWhatKustomizeGives(t *testing.T) {
	for _, name := range corpusCases(t) {
		t.Run(name, func(t *testing.T) {
			want := plainKustomize(t, filepath.Join(corpus, name, "target"))
			got, err := New().Build(context.Background(), Input{Tree: corpusTree(), Path: "./" + name + "/target"})
			if err != nil {
				t.Fatal(err)
			}
			if len(want) == 0 {
				t.Fatal("the case gives no objects: it proves nothing")
			}
			for _, obj := range slices.Concat(want, got.Objects) { // which Flux adds where no resources are listed, see hasOrigins
				unstructured.RemoveNestedField(obj.Object, "metadata", "annotations", "config.kubernetes.io/origin")
				if len(obj.GetAnnotations()) == 0 {
					unstructured.RemoveNestedField(obj.Object, "metadata", "annotations")
				}
			}
			if diff := cmp.Diff(want, got.Objects); diff != "" {
				t.Errorf("differs from plain Kustomize (-kustomize +build):\n%s", diff)
			}
		})
	}
}

func TestBuildGivesTheSameTwice(t *testing.T) {
	b := New()
	for _, name := range corpusCases(t) {
		first, err := b.Build(context.Background(), Input{Tree: corpusTree(), Path: name + "/target"})
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Build(context.Background(), Input{Tree: corpusTree(), Path: name + "/target"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asYAML(t, first.Objects), asYAML(t, second.Objects)); diff != "" {
			t.Errorf("%s: two builds of the same tree differ:\n%s", name, diff)
		}
	}
}

func asYAML(t testing.TB, objects []*unstructured.Unstructured) string {
	t.Helper()
	var all string
	for _, o := range objects {
		content, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		all += "---\n" + string(content)
	}
	return all
}
