package build

import (
	"context"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func mustBuild(t testing.TB, in Input) *Result {
	t.Helper()
	got, err := New().Build(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func names(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range objects {
		all = append(all, objectName(o.GetKind(), o.GetNamespace(), o.GetName()))
	}
	return all
}

func TestBuildFindsManifests(t *testing.T) {
	cases := map[string]struct {
		reason string
		files  map[string]string
		in     Input
		want   []string
	}{
		"PlainFolder": {
			reason: "all YAML files below the path, in the order of a walk; other files don't matter",
			files: map[string]string{
				"apps/b.yaml": configMap("b"), "apps/a/z.yml": configMap("z"), "apps/a.yaml": configMap("a"),
				"apps/README.md": "kind: Nothing", "apps/x.json": "{}", "other/c.yaml": configMap("c"),
			},
			in:   Input{Path: "./apps"},
			want: []string{"ConfigMap/z", "ConfigMap/a", "ConfigMap/b"},
		},
		"FolderWithBase": {
			reason: "a folder with a kustomization stands for all that is in it",
			files: map[string]string{
				"a.yaml":                 configMap("a"),
				"k/Kustomization":        "namePrefix: k-\nresources: [in.yaml]\n",
				"k/in.yaml":              configMap("in"),
				"k/not-listed.yaml":      configMap("out"),
				"k/deep/more.yaml":       configMap("more"),
				"l/m/kustomization.yaml": "resources: [n.yaml]\n", "l/m/n.yaml": configMap("n"),
			},
			want: []string{"ConfigMap/a", "ConfigMap/k-in", "ConfigMap/n"},
		},
		"SpecPath": {
			reason: "the spec's path serves when no other is given, with or without a slash",
			files:  map[string]string{"x/a.yaml": configMap("a"), "b.yaml": configMap("b")},
			in:     Input{Spec: kustomizev1.KustomizationSpec{Path: "/x/"}},
			want:   []string{"ConfigMap/a"},
		},
		"LinksInside": {
			reason: "links inside the tree are followed: folders, files, and over several hops",
			files: map[string]string{
				"env/prod":                        "-> ../clusters/eu",
				"clusters/eu":                     "-> ./one",
				"clusters/one/kustomization.yaml": "resources: [shared.yaml, ../../base]\n",
				"clusters/one/shared.yaml":        "-> ../../shared/a.yaml",
				"shared/a.yaml":                   configMap("a"),
				"base/kustomization.yaml":         "resources: [b.yaml]\n",
				"base/b.yaml":                     configMap("b"),
			},
			in:   Input{Path: "env/prod"},
			want: []string{"ConfigMap/a", "ConfigMap/b"},
		},
		"LinkedKustomization": {
			reason: "a kustomization that is a link counts its paths from where the link is, and an overlay stays in its folder",
			files: map[string]string{
				"app/kustomization.yaml":      "-> ../shared/kustomization.yaml",
				"app/base/kustomization.yaml": "-> ../../other/kustomization.yaml",
				"app/base/a.yaml":             configMap("a"),
				"shared/kustomization.yaml":   "resources: [base]\n",
				"other/kustomization.yaml":    "resources: [a.yaml]\n",
			},
			in:   Input{Path: "app", Spec: kustomizev1.KustomizationSpec{NamePrefix: "p-", TargetNamespace: "n"}},
			want: []string{"ConfigMap/n/p-a"},
		},
		"OneKustomizationForTwo": {
			reason: "the same file in two folders",
			files: map[string]string{
				"app/kustomization.yaml":     "-> ../shared.yaml",
				"app/a/kustomization.yaml":   "-> ../../shared.yaml",
				"app/a/a/kustomization.yaml": "resources: [c.yaml]\n",
				"app/a/a/c.yaml":             configMap("c"),
				"shared.yaml":                "namePrefix: s-\nresources: [a]\n",
			},
			in:   Input{Path: "app", Spec: kustomizev1.KustomizationSpec{NamePrefix: "p-"}},
			want: []string{"ConfigMap/p-s-c"},
		},
		"UpAndDown": {
			reason: "paths may leave the folder, not the tree",
			files: map[string]string{
				"a/b/kustomization.yaml": "resources: [../../c/d.yaml]\n", "c/d.yaml": configMap("d"),
			},
			in:   Input{Path: "a/../a/b"},
			want: []string{"ConfigMap/d"},
		},
		"LooksDeep": {
			reason: "text that is indented far is not nested deep",
			files: map[string]string{
				"a.yaml": configMap("a") + "data:\n  x: |\n    " + strings.Repeat(" ", 300) + "far\n  y: '" + strings.Repeat("[", 300) + "'\n",
			},
			want: []string{"ConfigMap/a"},
		},
		"LocalConfig": {
			reason: "objects for Kustomize alone don't reach the cluster",
			files: map[string]string{
				"a.yaml": configMap("a"),
				"b.yaml": configMap("b") + "  annotations: {config.kubernetes.io/local-config: 'true'}\n",
			},
			want: []string{"ConfigMap/a"},
		},
		"EmptyKustomization": {
			reason: "a kustomization that selects nothing gives nothing; that is what it says",
			files:  map[string]string{"kustomization.yaml": "namespace: x\n"},
			want:   nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.in.Tree = tree(tc.files)
			if diff := cmp.Diff(tc.want, names(mustBuild(t, tc.in).Objects)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: front, labels: {app: front}}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: c, image: "shop/front:1"}, {name: d, image: "shop/proxy:1"}]}
`

func TestBuildLaysTheSpecOver(t *testing.T) {
	spec := kustomizev1.KustomizationSpec{
		TargetNamespace: "prod", NamePrefix: "p-", NameSuffix: "-s",
		CommonMetadata: &kustomizev1.CommonMetadata{
			Labels: map[string]string{"app": "shop", "team": "a"}, Annotations: map[string]string{"note": "x"},
		},
		Patches: []kustomize.Patch{
			{
				Patch:  "- {op: add, path: /spec/replicas, value: 3}",
				Target: &kustomize.Selector{Kind: "Deployment", Name: "front", Group: "apps", Version: "v1", LabelSelector: "app=front"},
			},
			{Patch: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: front}\nspec: {paused: true}\n"},
		},
		Images: []kustomize.Image{
			{Name: "shop/front", NewTag: "2"},
			{Name: "shop/proxy", NewName: "mirror/proxy", Digest: "sha256:" + strings.Repeat("0", 64)},
		},
		Components:    []string{"../parts/quota"},
		BuildMetadata: []kustomizev1.BuildMetadataOption{kustomizev1.BuildMetadataOriginAnnotations},
	}
	parts := map[string]string{
		"parts/quota/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [q.yaml]\n",
		"parts/quota/q.yaml":             "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\n",
		"app/front.yaml":                 deployment,
	}
	kustomizations := map[string]string{
		"PlainFolder": "",
		"Kustomization": "resources: [front.yaml]\nnamespace: dev\nnamePrefix: x\n" +
			"images: [{name: shop/front, newName: ignored}]\n",
	}
	want := `---
apiVersion: apps/v1
kind: Deployment
metadata:
  annotations:
    config.kubernetes.io/origin: |
      path: front.yaml
    note: x
  labels:
    app: shop
    team: a
  name: p-front-s
  namespace: prod
spec:
  paused: true
  replicas: 3
  selector:
    matchLabels:
      app: front
  template:
    metadata:
      labels:
        app: front
    spec:
      containers:
      - image: shop/front:2
        name: c
      - image: mirror/proxy@sha256:` + strings.Repeat("0", 64) + `
        name: d
---
apiVersion: v1
kind: ResourceQuota
metadata:
  annotations:
    config.kubernetes.io/origin: |
      path: ../parts/quota/q.yaml
    note: x
  labels:
    app: shop
    team: a
  name: p-q-s
  namespace: prod
`
	for name, k := range kustomizations {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for f, c := range parts {
				files[f] = c
			}
			if k != "" {
				files["app/kustomization.yml"] = k
			}
			got := mustBuild(t, Input{Tree: tree(files), Path: "app", Spec: spec})
			if diff := cmp.Diff(want, asYAML(t, got.Objects)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMissingComponentsMayBeIgnored(t *testing.T) {
	spec := kustomizev1.KustomizationSpec{Components: []string{"gone"}, IgnoreMissingComponents: true}
	got := mustBuild(t, Input{Tree: tree(map[string]string{"a.yaml": configMap("a")}), Spec: spec})
	if diff := cmp.Diff([]string{"ConfigMap/a"}, names(got.Objects)); diff != "" {
		t.Error(diff)
	}
	later := tree(map[string]string{
		"a.yaml":                  configMap("a"),
		"gone/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: x\n",
	})
	if got.Reads.Same(later) {
		t.Error("a component that appears must lead to a new build")
	}
}
