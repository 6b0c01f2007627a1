// Package build_test compares internal/build with what Flux's kustomize-controller builds from the same files and spec: its generator
// (github.com/fluxcd/pkg/kustomize), Kustomize, its substitution. Differences on purpose are cases of their own, and in docs/build.md.
package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	securejoin "github.com/cyphar/filepath-securejoin"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	generator "github.com/fluxcd/pkg/kustomize"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/build"
)

// flux builds as kustomize-controller v1.9 does, without decryption and substituteFrom.
func flux(t testing.TB, files map[string]string, spec kustomizev1.KustomizationSpec) ([]*unstructured.Unstructured, error) {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	ks := &kustomizev1.Kustomization{Spec: spec}
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(ks)
	if err != nil {
		t.Fatal(err)
	}
	u := unstructured.Unstructured{Object: raw}
	dir, err := securejoin.SecureJoin(root, spec.Path)
	if err != nil {
		return nil, err
	}
	if _, err := generator.NewGenerator(root, u).WriteFile(dir); err != nil {
		return nil, err
	}
	m, err := generator.SecureBuild(root, dir, false)
	if err != nil {
		return nil, err
	}
	for _, res := range m.Resources() {
		if spec.PostBuild == nil {
			break
		}
		out, err := generator.SubstituteVariables(context.Background(), nil, u, res, generator.SubstituteWithStrict(true),
			generator.SubstituteWithAlways(spec.PostBuild.SubstituteStrategy == kustomizev1.SubstituteStrategyAlways))
		if err != nil {
			return nil, err
		}
		if out != nil {
			if _, err := m.Replace(out); err != nil {
				return nil, err
			}
		}
	}
	text, err := m.AsYaml()
	if err != nil {
		return nil, err
	}
	return objects(text, spec.CommonMetadata)
}

// objects reads what was rendered, and sets the common metadata as Flux does before it applies.
func objects(text []byte, common *kustomizev1.CommonMetadata) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if common != nil && len(common.Labels) > 0 {
			labels := obj.GetLabels()
			if labels == nil {
				labels = map[string]string{}
			}
			maps.Copy(labels, common.Labels)
			obj.SetLabels(labels)
		}
		if common != nil && len(common.Annotations) > 0 {
			notes := obj.GetAnnotations()
			if notes == nil {
				notes = map[string]string{}
			}
			maps.Copy(notes, common.Annotations)
			obj.SetAnnotations(notes)
		}
		all = append(all, obj)
	}
}

func ours(t testing.TB, files map[string]string, spec kustomizev1.KustomizationSpec) ([]*unstructured.Unstructured, error) {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var vars map[string]string
	if spec.PostBuild != nil {
		vars = spec.PostBuild.Substitute
	}
	got, err := build.New().Build(context.Background(), build.Input{Tree: build.TreeOf(os.DirFS(root)), Spec: spec, Vars: vars})
	if err != nil {
		return nil, err
	}
	return got.Objects, nil
}

// text is what is compared: the objects in their order, byte for byte.
func text(t testing.TB, objs []*unstructured.Unstructured) string {
	t.Helper()
	var out strings.Builder
	for _, o := range objs {
		content, err := sigsyaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "---\n%s", content)
	}
	return out.String()
}

func compare(t *testing.T, files map[string]string, spec kustomizev1.KustomizationSpec) {
	t.Helper()
	want, fluxErr := flux(t, files, spec)
	got, err := ours(t, files, spec)
	if (fluxErr == nil) != (err == nil) {
		t.Fatalf("Flux: %v\nSlipway: %v\nfiles: %v", fluxErr, err, files)
	}
	if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
		t.Errorf("differs from Flux (-flux +slipway):\n%s\nfiles: %v", diff, files)
	}
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
  annotations: {tier: front}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example.com/web:1.0
        env:
        - {name: REGION, value: "${region:=north}"}
        envFrom: [{configMapRef: {name: settings}}]
      - {name: side, image: example.com/side}
`

const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  number: \"1\"\n  text: |\n    a\n    b\n"

// trees are the files that every spec is tried on, by what is special about them. The folder is app.
func trees() map[string]map[string]string {
	component := "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
	return map[string]map[string]string{
		"plain": {"app/web.yaml": deployment, "app/settings.yml": settings, "app/README.md": "x", "app/data.json": "{}"},
		"nested": {
			"app/a/web.yaml": deployment, "app/z.yaml": settings,
			"app/b/kustomization.yaml": "resources: [x.yaml]\nnamePrefix: b-\n", "app/b/x.yaml": strings.Replace(settings, "settings", "other", 1), "app/b/unused.yaml": "not: a manifest\n",
		},
		"kustomization": {
			"app/kustomization.yaml": "resources: [web.yaml, settings.yaml]\nnamespace: base\nnamePrefix: k-\nimages: [{name: example.com/web, newTag: \"9\"}]\n" +
				"labels: [{pairs: {team: a}, includeSelectors: true}]\npatches: [{path: patch.yaml}]\nreplicas: [{name: web, count: 5}]\n",
			"app/web.yaml": deployment, "app/settings.yaml": settings,
			"app/patch.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {priorityClassName: high}}}\n",
		},
		"legacy": {
			"app/kustomization.yml": "bases: [../base]\ncommonLabels: {a: b}\ncommonAnnotations: {c: d}\npatchesStrategicMerge:\n- patch.yaml\n" +
				"patchesJson6902:\n- target: {group: apps, version: v1, kind: Deployment, name: web}\n  path: json.yaml\nconfigMapGenerator: [{name: g, literals: [x=y]}]\n",
			"app/patch.yaml":     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
			"app/json.yaml":      "- {op: add, path: /metadata/labels/json, value: patched}\n",
			"base/Kustomization": "resources: [web.yaml, settings.yaml]\n", "base/web.yaml": deployment, "base/settings.yaml": settings,
		},
		"generators": {
			"app/kustomization.yaml": "resources: [web.yaml]\nconfigMapGenerator:\n- {name: settings, files: [a.txt, b=a.txt], literals: [c=d]}\nsecretGenerator:\n" +
				"- {name: s, envs: [e.env], type: Opaque}\ngeneratorOptions: {labels: {gen: \"true\"}}\n",
			"app/web.yaml": deployment, "app/a.txt": "one\ntwo\n", "app/e.env": "A=1\nB=two\n",
		},
		"components": {
			"app/kustomization.yaml": "resources: [web.yaml]\ncomponents: [../part]\n", "app/web.yaml": deployment,
			"part/kustomization.yaml": component + "resources: [settings.yaml]\nnameSuffix: -c\n", "part/settings.yaml": settings,
		},
		"documents": {"app/all.yaml": "# only a comment\n---\n" + deployment + "---\n---\n" + settings + "---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}, data: {a: b}}\n"},
		"types": {"app/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: types}\ndata:\n  octal: \"0755\"\n  bool: \"true\"\n  null: \"null\"\n  float: \"1.0\"\n" +
			"  empty: \"\"\n  quote: 'it''s \"q\"'\n  uni: \"\\u00e9\"\n  exp: \"1e3\"\n  long: " + strings.Repeat("word ", 60) + "\n---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\nspec: {i: 9007199254740993, f: 1.50, e: 1e3, n: null, b: yes, d: 2026-01-02, o: 0o17, x: 0x1F, s: [], m: {}}\n"},
		"selectors": {"app/a.yaml": deployment + "---\n" + strings.ReplaceAll(deployment, "web", "api") + "---\n" + settings},
	}
}

// specs are tried on every tree.
func specs() map[string]string {
	return map[string]string{
		"none":             `{}`,
		"targetNamespace":  `{targetNamespace: shop}`,
		"names":            `{namePrefix: p-, nameSuffix: -s}`,
		"images":           `{images: [{name: example.com/web, newName: mirror/web, newTag: "2"}, {name: example.com/side, digest: "sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3"}]}`,
		"imageTag":         `{images: [{name: example.com/web, newTag: v3}, {name: unused, newTag: x}]}`,
		"patchInline":      `{patches: [{patch: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 7}\n"}]}`,
		"patchTarget":      `{patches: [{patch: "- {op: add, path: /metadata/labels/x, value: shop}\n", target: {kind: Deployment, name: ".*"}}]}`,
		"patchLabel":       `{patches: [{patch: "- {op: replace, path: /spec/replicas, value: 9}\n", target: {labelSelector: "app in (web, api)"}}]}`,
		"patchAnnotation":  `{patches: [{patch: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {paused: true}\n", target: {annotationSelector: "tier=front"}}]}`,
		"patchDelete":      `{patches: [{patch: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n$patch: delete\n", target: {kind: ConfigMap, name: settings}}]}`,
		"patchMisses":      `{patches: [{patch: "- {op: remove, path: /spec}\n", target: {kind: Nothing}}]}`,
		"components":       `{components: [../part]}`,
		"noComponent":      `{components: [../none]}`,
		"ignoreComponents": `{components: [../none, ../part], ignoreMissingComponents: true}`,
		"commonMetadata":   `{commonMetadata: {labels: {app: common, l: "1"}, annotations: {tier: common}}}`,
		"buildMetadata":    `{buildMetadata: [originAnnotations, transformerAnnotations], namePrefix: x-}`,
		"substitute":       `{postBuild: {substitute: {region: south, number: "42"}}}`,
		"always":           `{postBuild: {substituteStrategy: Always}}`,
		"withVariables":    `{postBuild: {substituteStrategy: WithVariables}}`,
		"everything": `{targetNamespace: n, namePrefix: p-, images: [{name: example.com/web, newTag: "5"}], commonMetadata: {labels: {z: z}}, postBuild: {substitute: {region: "\"7\""}},
			patches: [{patch: "- {op: add, path: /metadata/annotations, value: {a: \"${region}\"}}\n", target: {kind: ConfigMap}}]}`,
	}
}

func specOf(t *testing.T, text string) kustomizev1.KustomizationSpec {
	t.Helper()
	var spec kustomizev1.KustomizationSpec
	if err := sigsyaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestBuildsWhatFluxBuilds(t *testing.T) {
	for tree, files := range trees() {
		if _, has := files["part/kustomization.yaml"]; !has { // for specs with components
			files["part/kustomization.yaml"] = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {part: \"yes\"}}]\n"
		}
		for name, text := range specs() {
			t.Run(tree+"/"+name, func(t *testing.T) {
				spec := specOf(t, text)
				spec.Path = "./app"
				compare(t, files, spec)
			})
		}
	}
}

func TestPaths(t *testing.T) {
	files := map[string]string{"app/a.yaml": settings, "b.yaml": strings.Replace(settings, "settings", "b", 1)}
	for _, p := range []string{"", ".", "./", "/", "app", "./app", "./app/", "/app", "app/.", "app/../app", ".//app", "none", "app/a.yaml"} {
		t.Run(strings.ReplaceAll(p, "/", "|"), func(t *testing.T) { compare(t, files, kustomizev1.KustomizationSpec{Path: p}) })
	}
}

// TestCorpus builds the product's own corpus.
func TestCorpus(t *testing.T) {
	root := "../../internal/build/testdata/corpus"
	files := map[string]string{}
	err := filepath.WalkDir(root, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		rel, relErr := filepath.Rel(root, name)
		files[filepath.ToSlash(rel)] = string(content)
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			compare(t, files, kustomizev1.KustomizationSpec{Path: e.Name() + "/target"})
			spec := specOf(t, specs()["everything"])
			spec.Path = e.Name() + "/target"
			compare(t, files, spec)
		})
	}
}

// TestRandomTrees builds trees and specs put together at random.
func TestRandomTrees(t *testing.T) {
	all, names := specs(), slices.Sorted(maps.Keys(specs()))
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := rand.New(rand.NewPCG(seed, 2))
			files := map[string]string{}
			random(g, "app", 0, files)
			spec := specOf(t, all[names[g.IntN(len(names))]])
			if len(spec.Components) > 0 {
				spec.Components = nil
			}
			spec.Path = "app"
			compare(t, files, spec)
		})
	}
}

func random(g *rand.Rand, dir string, depth int, files map[string]string) {
	var resources []string
	for i := range 1 + g.IntN(3) {
		name := fmt.Sprintf("f%d.yaml", i)
		unique := strings.ReplaceAll(dir, "/", "-") + fmt.Sprint(i)
		manifest := settings
		if g.IntN(2) == 0 {
			manifest = deployment
		}
		files[path.Join(dir, name)] = strings.NewReplacer("name: settings", "name: "+unique, "name: web", "name: "+unique).Replace(manifest)
		resources = append(resources, name)
	}
	if depth < 3 {
		for i := range g.IntN(3) {
			sub := fmt.Sprintf("d%d", i)
			random(g, path.Join(dir, sub), depth+1, files)
			if _, ok := files[path.Join(dir, sub, "kustomization.yaml")]; ok {
				resources = append(resources, sub)
			}
		}
	}
	if g.IntN(2) == 0 && !hasPlainFolder(dir, files) {
		k := map[string]any{"resources": resources}
		switch g.IntN(5) {
		case 0:
			k["namePrefix"] = "p-"
		case 1:
			k["images"] = []any{map[string]any{"name": "example.com/web", "newTag": "8"}}
		case 2:
			k["labels"] = []any{map[string]any{"pairs": map[string]any{"l": "m"}}}
		case 3:
			k["configMapGenerator"] = []any{map[string]any{"name": "gen" + strings.ReplaceAll(dir, "/", "-"), "literals": []string{"a=b"}}}
		}
		content, _ := sigsyaml.Marshal(k)
		files[path.Join(dir, "kustomization.yaml")] = string(content)
	}
}

// hasPlainFolder tells whether a folder below has no kustomization of its own, which a kustomization couldn't list.
func hasPlainFolder(dir string, files map[string]string) bool {
	for name := range files {
		d := path.Dir(name)
		if d != dir && strings.HasPrefix(d, dir+"/") {
			if _, ok := files[path.Join(d, "kustomization.yaml")]; !ok {
				return true
			}
		}
	}
	return false
}

// TestDifferencesOnPurpose: each is in docs/build.md.
func TestDifferencesOnPurpose(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		spec  kustomizev1.KustomizationSpec
	}{
		"an unknown field in the kustomization is dropped by Flux": {
			files: map[string]string{"kustomization.yaml": "resources: [a.yaml]\nnamPrefix: typo-\n", "a.yaml": settings},
			spec:  kustomizev1.KustomizationSpec{NamePrefix: "x-"},
		},
		"a kustomization in which nothing is builds nothing in Flux, which would then prune everything": {
			files: map[string]string{"kustomization.yaml": "# nothing\n"},
		},
		"a path that leaves the source is stopped at its root by Flux": {
			files: map[string]string{"a.yaml": settings}, spec: kustomizev1.KustomizationSpec{Path: "../../"},
		},
		"labels that aren't text are left to the API server by Flux": {
			files: map[string]string{"a.yaml": strings.Replace(settings, "name: settings", "name: settings\n  labels: {a: \"${v}\"}", 1)},
			spec:  kustomizev1.KustomizationSpec{PostBuild: &kustomizev1.PostBuild{Substitute: map[string]string{"v": "1"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := flux(t, tc.files, tc.spec); err != nil {
				t.Errorf("Flux refuses it, too; then it is no difference: %v", err)
			}
			if _, err := ours(t, tc.files, tc.spec); err == nil {
				t.Error("Slipway takes it; then it is no difference")
			}
		})
	}
}
