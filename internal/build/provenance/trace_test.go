package provenance_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/provenance"
	"github.com/slipway-dev/slipway/internal/kube"
)

// shop is a base with two objects in one file, a second file, and an overlay that uses most of what Kustomize has.
var shop = map[string]string{
	"base/kustomization.yaml": `resources:
- web.yaml
- settings.yaml
`,
	"base/web.yaml": `---
# the shop's front
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app: web
spec:
  replicas: 3
  minReadySeconds: 7
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: example.com/web:1.0
        args: [--verbose]
        env:
        - name: COLOUR
          value: ${colour}
        - name: HOST
          value: replace-me
        resources:
          limits:
            memory: 64Mi
`,
	"base/settings.yaml": `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  host: shop.example.com
`,
	"prod/kustomization.yaml": `namespace: shop
namePrefix: prod-
resources:
- ../base
commonAnnotations:
  team: payments
images:
- name: example.com/web
  newTag: "2.4"
patches:
- path: scale.yaml
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      template:
        spec:
          containers:
          - name: web
            resources:
              limits:
                memory: 128Mi
configMapGenerator:
- name: flags
  literals:
  - BETA=yes-please
  envs:
  - flags.env
replacements:
- source: {kind: ConfigMap, name: settings, fieldPath: data.host}
  targets:
  - select: {kind: Deployment}
    fieldPaths: ["spec.template.spec.containers.[name=web].env.[name=HOST].value"]
`,
	"prod/scale.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 5
`,
	"prod/flags.env": "ALPHA=perhaps-not\n",
	"json/kustomization.yaml": `resources:
- ../base
patches:
- target: {kind: Deployment}
  patch: |-
    - op: replace
      path: /spec/replicas
      value: 9
- target: {kind: Deployment}
  path: args.yaml
`,
	"json/args.yaml": `- op: add
  path: /spec/template/spec/containers/0/args/-
  value: --fast
`,
}

func treeOf(files map[string]string) build.Tree {
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return build.TreeOf(fsys)
}

func deployment(name string) kube.Ref { return kube.Ref{Group: "apps", Kind: "Deployment", Name: name} }

func TestEveryWayIntoAnObject(t *testing.T) {
	vars := map[string]string{"colour": "blue"}
	for name, tc := range map[string]struct {
		reason string
		spec   kustomizev1.KustomizationSpec
		path   string
		ref    kube.Ref
		field  string
		want   []string // the last one has set it; "…" in front: there may be others before
	}{
		"Manifest": {
			"in the second document of a file that begins with a separator",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"spec.minReadySeconds",
			[]string{"manifest base/web.yaml:19 spec.minReadySeconds"},
		},
		"Patch": {
			"the base's 3 has no part in it any more",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"spec.replicas",
			[]string{"patch prod/scale.yaml:6 spec.replicas"},
		},
		"InlinePatch": {
			"a line inside of a text in the kustomization",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"spec.template.spec.containers[web].resources.limits.memory",
			[]string{"kustomization prod/kustomization.yaml:24 patches[1].patch.spec.template.spec.containers[0].resources.limits.memory"},
		},
		"Image": {
			"the name comes from the manifest, the tag from the kustomization",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"spec.template.spec.containers[0].image",
			[]string{"…", "kustomization prod/kustomization.yaml:9 images[0].newTag"},
		},
		"Namespace": {
			"of the overlay",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"metadata.namespace",
			[]string{"kustomization prod/kustomization.yaml:1 namespace"},
		},
		"NamePrefix": {
			"together with the manifest's name",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"metadata.name",
			[]string{"…", "kustomization prod/kustomization.yaml:2 namePrefix"},
		},
		"Annotation": {
			"of all objects",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"metadata.annotations.team",
			[]string{"kustomization prod/kustomization.yaml:6 commonAnnotations.team"},
		},
		"Replacement": {
			"from another object",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"spec.template.spec.containers[0].env[HOST].value",
			[]string{"manifest base/settings.yaml:6 data.host"},
		},
		"GeneratorLiteral": {
			"in the kustomization",
			kustomizev1.KustomizationSpec{},
			"prod",
			kube.Ref{Kind: "ConfigMap", Name: "prod-flags-*"},
			"data.BETA",
			[]string{"kustomization prod/kustomization.yaml:28 configMapGenerator[0].literals[0]"},
		},
		"GeneratorFile": {
			"in the file of a generator",
			kustomizev1.KustomizationSpec{},
			"prod",
			kube.Ref{Kind: "ConfigMap", Name: "prod-flags-*"},
			"data.ALPHA",
			[]string{"generator file prod/flags.env:1"},
		},
		"JSONPatchInline": {
			"an operation has set it",
			kustomizev1.KustomizationSpec{},
			"json", deployment("web"),
			"spec.replicas",
			[]string{"kustomization json/kustomization.yaml:8 patches[0].patch[0].value"},
		},
		"JSONPatchFile": {
			"an operation has added it",
			kustomizev1.KustomizationSpec{},
			"json", deployment("web"),
			"spec.template.spec.containers[0].args[1]",
			[]string{"patch json/args.yaml:3 [0].value"},
		},
		"BesideAJSONPatch": {
			"a JSON patch makes a new object without lines",
			kustomizev1.KustomizationSpec{},
			"json", deployment("web"),
			"spec.minReadySeconds",
			[]string{"manifest base/web.yaml:19 spec.minReadySeconds"},
		},
		"Variable": {
			"the manifest has the variable",
			kustomizev1.KustomizationSpec{},
			"prod", deployment("prod-web"),
			"spec.template.spec.containers[0].env[0].value",
			[]string{"manifest base/web.yaml:32 spec.template.spec.containers[0].env[0].value", "variable colour"},
		},
		"CommonMetadata": {
			"set after everything else",
			kustomizev1.KustomizationSpec{CommonMetadata: &kustomizev1.CommonMetadata{Annotations: map[string]string{"team": "core"}}},
			"prod", deployment("prod-web"),
			"metadata.annotations.team",
			[]string{"Kustomization.spec commonMetadata.annotations.team"},
		},
		"TargetNamespace": {
			"of the Kustomization",
			kustomizev1.KustomizationSpec{TargetNamespace: "store"},
			"prod", deployment("prod-web"),
			"metadata.namespace",
			[]string{"Kustomization.spec targetNamespace"},
		},
		"SpecPatch": {
			"of the Kustomization",
			kustomizev1.KustomizationSpec{Patches: []kustomize.Patch{{
				Patch: "- op: replace\n  path: /spec/replicas\n  value: 12\n", Target: &kustomize.Selector{Kind: "Deployment"},
			}}},
			"prod", deployment("prod-web"),
			"spec.replicas",
			[]string{"Kustomization.spec patches[0].patch[0].value"},
		},
		"PlainFolder": {
			"no kustomization at all",
			kustomizev1.KustomizationSpec{},
			"plain",
			kube.Ref{Kind: "ConfigMap", Name: "plain"},
			"data.a",
			[]string{"manifest plain/sub/all.yaml:4 data.a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"plain/sub/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {a: word}\n"}
			for name, content := range shop {
				files[name] = content
			}
			in := build.Input{Tree: treeOf(files), Path: tc.path, Spec: tc.spec, Vars: vars}
			tc.ref.Name = generated(t, in, tc.ref.Name)
			path, err := provenance.ParsePath(tc.field)
			if err != nil {
				t.Fatal(err)
			}
			got, err := provenance.Of(t.Context(), in, tc.ref, path)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Fields) != 1 {
				t.Fatalf("%d fields", len(got.Fields))
			}
			places := describe(got.Fields[0].Places)
			if tc.want[0] == "…" && len(places) > 0 {
				places = append([]string{"…"}, places[len(places)-1])
			}
			if diff := cmp.Diff(tc.want, places); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nall: %q", tc.reason, diff, describe(got.Fields[0].Places))
			}
		})
	}
}

// generated finds the name that a generator has made: it ends with a hash.
func generated(t *testing.T, in build.Input, name string) string {
	prefix, ok := strings.CutSuffix(name, "*")
	if !ok {
		return name
	}
	result, err := build.New().Build(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range result.Objects {
		if strings.HasPrefix(o.GetName(), prefix) {
			return o.GetName()
		}
	}
	t.Fatalf("nothing is called %s", name)
	return ""
}

func describe(places []provenance.Place) []string {
	var all []string
	for _, p := range places {
		words := []string{string(p.Setting)}
		if p.File != "" {
			words = append(words, p.File+":"+strconv.Itoa(p.Line))
		}
		if len(p.Field) > 0 {
			words = append(words, p.Field.String())
		}
		if p.Variable != "" {
			words = append(words, p.Variable)
		}
		if p.Guessed {
			words = append(words, "(guessed)")
		}
		all = append(all, strings.Join(words, " "))
	}
	return all
}

func TestEveryFieldOfAnObjectHasAPlace(t *testing.T) {
	in := build.Input{Tree: treeOf(shop), Path: "prod", Vars: map[string]string{"colour": "blue"}}
	got, err := provenance.Of(t.Context(), in, deployment("prod-web"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Fields {
		if len(f.Places) == 0 {
			t.Errorf("%s has no place", f.Path)
		}
	}
	if got.Builds > 100 {
		t.Errorf("%d builds for one object", got.Builds)
	}
}

func TestAnObjectThatIsNotBuilt(t *testing.T) {
	_, err := provenance.Of(t.Context(), build.Input{Tree: treeOf(shop), Path: "base"}, deployment("nosuch"), nil)
	if !errors.Is(err, provenance.ErrNotBuilt) {
		t.Errorf("got %v", err)
	}
}

func TestParsePath(t *testing.T) {
	for text, want := range map[string]provenance.Path{
		"spec.replicas":                            {"spec", "replicas"},
		".spec.replicas":                           {"spec", "replicas"},
		"{.spec.replicas}":                         {"spec", "replicas"},
		"spec.containers[0].image":                 {"spec", "containers", 0, "image"},
		"spec.containers[web].image":               {"spec", "containers", "web", "image"},
		"metadata.labels[app.kubernetes.io/name]":  {"metadata", "labels", "app.kubernetes.io/name"},
		"metadata.labels['a.b/c']":                 {"metadata", "labels", "a.b/c"},
		`metadata.labels.app\.kubernetes\.io/name`: {"metadata", "labels", "app.kubernetes.io/name"},
	} {
		got, err := provenance.ParsePath(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"", ".", "spec[0"} {
		if got, err := provenance.ParsePath(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
