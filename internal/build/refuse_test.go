package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
)

// tree makes a tree of "path: content" pairs; content that starts with "-> " is a link.
func tree(files map[string]string) Tree {
	m := fstest.MapFS{}
	for name, content := range files {
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			m[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		m[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return TreeOf(m)
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
}

// failure is what a person sees of an error.
type failure struct {
	Reason, File string
	Line         int
	Object       string
}

func failureOf(t *testing.T, err error) (failure, string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("want an *Error, got %T: %v", err, err)
	}
	return failure{e.Reason, e.File, e.Line, e.Object}, e.Error()
}

func TestBuildRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		files  map[string]string
		path   string
		spec   kustomizev1.KustomizationSpec
		want   failure
		says   []string
	}{
		"AbsentPath": {
			reason: "a path that is not there is named, with the folders that are",
			files:  map[string]string{"apps/shop/a.yaml": configMap("a"), "apps/blog/a.yaml": configMap("a")},
			path:   "./apps/shpo",
			want:   failure{Reason: ReasonInvalidPath},
			says:   []string{`"./apps/shpo" does not exist`, "folders in apps: blog, shop"},
		},
		"PathIsAFile": {
			reason: "a file is not a folder to build",
			files:  map[string]string{"a.yaml": configMap("a")},
			path:   "a.yaml",
			want:   failure{Reason: ReasonInvalidPath},
			says:   []string{"is a file"},
		},
		"PathOutside": {
			reason: "a path may not climb out of the source",
			files:  map[string]string{"a.yaml": configMap("a")},
			path:   "../etc",
			want:   failure{Reason: ReasonInvalidPath},
			says:   []string{"leads out of the source"},
		},
		"PathThroughLinkOutside": {
			reason: "nor may it do so through a link",
			files:  map[string]string{"a.yaml": configMap("a"), "app": "-> ../../etc"},
			path:   "app",
			want:   failure{Reason: ReasonInvalidPath, File: "app"},
			says:   []string{"leads out of the source"},
		},
		"NoManifests": {
			reason: "an empty folder must not prune everything",
			files:  map[string]string{"apps/README.md": "# apps"},
			path:   "apps",
			want:   failure{Reason: ReasonBuildFailed},
			says:   []string{"no manifests in apps"},
		},
		"BrokenYAML": {
			reason: "a syntax error is named with file and line",
			files: map[string]string{
				"kustomization.yaml": "resources: [good.yaml, bad.yaml]\n",
				"good.yaml":          configMap("good"),
				"bad.yaml":           configMap("bad") + "data:\n  a: b: c\n",
			},
			want: failure{Reason: ReasonBuildFailed, File: "bad.yaml", Line: 6},
			says: []string{"not valid YAML"},
		},
		"BrokenYAMLWithoutKustomization": {
			reason: "the same in a folder of plain manifests, deep down",
			files:  map[string]string{"a/b/bad.yml": "kind: [", "a/good.yaml": configMap("good")},
			want:   failure{Reason: ReasonBuildFailed, File: "a/b/bad.yml", Line: 1},
			says:   []string{"not valid YAML"},
		},
		"NotAnObject": {
			reason: "YAML that is no manifest is named",
			files:  map[string]string{"values.yaml": "replicas: 3\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "values.yaml", Line: 1},
			says:   []string{"has no kind", "remove the file"},
		},
		"NoName": {
			reason: "an object without a name is named by its file, also in a later document",
			files:  map[string]string{"a.yaml": configMap("a") + "---\napiVersion: v1\nkind: Secret\nmetadata: {}\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "a.yaml", Line: 6},
			says:   []string{"a Secret has no metadata.name"},
		},
		"GenerateName": {
			reason: "a generated name cannot be found again",
			files:  map[string]string{"a.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "a.yaml", Line: 1},
			says:   []string{"generateName"},
		},
		"NoAPIVersion": {
			reason: "an object without apiVersion is named by its file",
			files:  map[string]string{"a.yaml": "kind: Secret\nmetadata: {name: a}\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "a.yaml", Line: 1},
			says:   []string{"a Secret has no apiVersion"},
		},
		"Twice": {
			reason: "the same object twice is refused by name",
			files:  map[string]string{"a.yaml": configMap("a"), "b.yaml": configMap("a")},
			want:   failure{Reason: ReasonBuildFailed, File: "b.yaml"},
			says:   []string{"ConfigMap", "/a", "twice"},
		},
		"TwiceInTwoVersions": {
			reason: "two versions of one kind are one object",
			files: map[string]string{
				"a.yaml": "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: a, namespace: x}\n",
				"b.yaml": "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a, namespace: x}\n",
			},
			want: failure{Reason: ReasonBuildFailed, Object: "HorizontalPodAutoscaler/x/a"},
			says: []string{"twice"},
		},
		"UnknownField": {
			reason: "a typo in a kustomization is named with its line",
			files:  map[string]string{"kustomization.yaml": "namespace: x\nresource:\n- a.yaml\n", "a.yaml": configMap("a")},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yaml", Line: 2},
			says:   []string{`no field "resource"`},
		},
		"UnknownFieldWithOverlay": {
			reason: "and also when the spec lays something over it",
			files:  map[string]string{"kustomization.yaml": "resource: []\n"},
			spec:   kustomizev1.KustomizationSpec{TargetNamespace: "x"},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yaml", Line: 1},
			says:   []string{`no field "resource"`},
		},
		"MissingResource": {
			reason: "a missing file is named with the line that asks for it",
			files:  map[string]string{"app/kustomization.yaml": "resources:\n- a.yaml\n- ../base\n", "app/a.yaml": configMap("a")},
			path:   "app",
			want:   failure{Reason: ReasonBuildFailed, File: "app/kustomization.yaml", Line: 3},
			says:   []string{"resources: ../base does not exist", "(base in the source)"},
		},
		"BaseWithoutKustomization": {
			reason: "a folder is only a base when it has a kustomization",
			files:  map[string]string{"kustomization.yaml": "resources: [base]\n", "base/a.yaml": configMap("a")},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yaml", Line: 1},
			says:   []string{"the folder base has no kustomization.yaml"},
		},
		"MissingGeneratorFile": {
			reason: "files of generators count, too",
			files:  map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: a\n  files:\n  - key=gone.txt\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yaml", Line: 4},
			says:   []string{"gone.txt does not exist"},
		},
		"BaseOutside": {
			reason: "a base may not lie outside the source",
			files:  map[string]string{"app/kustomization.yaml": "resources: [../../other]\n"},
			path:   "app",
			want:   failure{Reason: ReasonBuildFailed, File: "app/kustomization.yaml", Line: 1},
			says:   []string{"leads out of the source"},
		},
		"LinkOutside": {
			reason: "a link out of the source is not followed, whatever it points to",
			files: map[string]string{
				"kustomization.yaml": "secretGenerator:\n- name: a\n  files: [link]\n",
				"link":               "-> /etc/passwd",
			},
			want: failure{Reason: ReasonBuildFailed, File: "link"},
			says: []string{"leads out of the source"},
		},
		"LinkCircle": {
			reason: "links in a circle end",
			files:  map[string]string{"kustomization.yaml": "resources: [a]\n", "a": "-> b", "b": "-> a"},
			want:   failure{Reason: ReasonBuildFailed, File: "a"},
			says:   []string{"circle"},
		},
		"TwoKustomizations": {
			reason: "two kustomization files in a folder are ambiguous",
			files:  map[string]string{"kustomization.yaml": "namePrefix: a", "kustomization.yml": "namePrefix: b"},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yml"},
			says:   []string{"keep one"},
		},
		"Cycle": {
			reason: "bases that include each other end",
			files: map[string]string{
				"a/kustomization.yaml": "resources: [../b]\n",
				"b/kustomization.yaml": "resources: [../a]\n",
			},
			path: "a",
			want: failure{Reason: ReasonBuildFailed, File: "b/kustomization.yaml"},
			says: []string{"cycle"},
		},
		"KeyTwice": {
			reason: "a key that is there twice is named with its line",
			files:  map[string]string{"a.yaml": configMap("a") + "kind: Secret\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "a.yaml", Line: 5},
			says:   []string{`"kind" already defined`},
		},
		"PatchForNothing": {
			reason: "a patch without its object says which one",
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml": configMap("a"), "p.yaml": configMap("b"),
			},
			want: failure{Reason: ReasonBuildFailed, File: "kustomization.yaml"},
			says: []string{"/b", "not among the resources"},
		},
		"PatchOfNoKind": {
			reason: "a patch that is none of the two kinds",
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches: [{patch: 'x: ['}]\n", "a.yaml": configMap("a"),
			},
			want: failure{Reason: ReasonBuildFailed, File: "kustomization.yaml"},
			says: []string{"strategic merge patch", "JSON patch"},
		},
		"ComponentAsResource": {
			reason: "a component in the wrong list",
			files: map[string]string{
				"kustomization.yaml": "resources: [c]\n", "c/kustomization.yaml": "kind: Component\nnamePrefix: x\n",
			},
			want: failure{Reason: ReasonBuildFailed, File: "c/kustomization.yaml"},
			says: []string{"c is a Component", "under components"},
		},
		"ResourceAsComponent": {
			reason: "and the other way round",
			files: map[string]string{
				"kustomization.yaml": "components: [c]\n", "c/kustomization.yaml": "namePrefix: x\n",
			},
			want: failure{Reason: ReasonBuildFailed, File: "c/kustomization.yaml"},
			says: []string{"c is not a Component", "under resources"},
		},
		"EmptyKustomization": {
			reason: "an empty kustomization is a mistake",
			files:  map[string]string{"kustomization.yaml": "# nothing\n", "a.yaml": configMap("a")},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yaml"},
			says:   []string{"is empty"},
		},
		"HelmChart": {
			reason: "Helm would need another program",
			files:  map[string]string{"kustomization.yaml": "helmCharts:\n- name: x\n  repo: https://example.org\n"},
			want:   failure{Reason: ReasonUnsupported, File: "kustomization.yaml", Line: 1},
			says:   []string{"HelmRelease"},
		},
		"ExecPlugin": {
			reason: "a plugin that runs a program is not run",
			files: map[string]string{
				"kustomization.yaml": "transformers: [t.yaml]\n",
				"t.yaml": "apiVersion: example.org/v1\nkind: Run\nmetadata:\n  name: run\n  annotations:\n" +
					"    config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n",
				"run.sh": "#!/bin/sh\n",
			},
			want: failure{Reason: ReasonUnsupported, File: "kustomization.yaml"},
			says: []string{"plugin Run", "runs no other programs"},
		},
		"PluginFolder": {
			reason: "plugins that a kustomization makes up cannot be checked",
			files: map[string]string{
				"kustomization.yaml":   "generators: [g]\n",
				"g/kustomization.yaml": "resources: []\nnamePrefix: x\n",
			},
			want: failure{Reason: ReasonUnsupported, File: "kustomization.yaml", Line: 1},
			says: []string{"name the plugin's own files"},
		},
		"AliasBomb": {
			reason: "a few lines must not stand for billions",
			files:  map[string]string{"a.yaml": configMap("a") + aliasBomb()},
			want:   failure{Reason: ReasonTooLarge, File: "a.yaml"},
			says:   []string{"aliases"},
		},
		"AliasCircle": {
			reason: "an anchor that holds itself never ends",
			files:  map[string]string{"a.yaml": configMap("a") + "data: &d\n  x: *d\n"},
			want:   failure{Reason: ReasonTooLarge, File: "a.yaml"},
			says:   []string{"aliases"},
		},
		"DeepNesting": {
			reason: "nesting without end takes Kustomize minutes",
			files:  map[string]string{"a.yaml": configMap("a") + "data: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000) + "\n"},
			want:   failure{Reason: ReasonTooLarge, File: "a.yaml"},
			says:   []string{"nested deeper than 200"},
		},
		"DeepBlocks": {
			reason: "also by indentation and dashes",
			files:  map[string]string{"a.yaml": configMap("a") + "data:\n  " + strings.Repeat("- ", 300) + "x\n"},
			want:   failure{Reason: ReasonTooLarge, File: "a.yaml"},
			says:   []string{"nested deeper than 200"},
		},
		"DeepAliases": {
			reason: "also by aliases in aliases",
			files:  map[string]string{"a.yaml": configMap("a") + aliasChain(300)},
			want:   failure{Reason: ReasonTooLarge, File: "a.yaml"},
			says:   []string{"nested deeper than 200"},
		},
		"TooManyObjects": {
			reason: "objects are counted before Kustomize gets them, in lists as well",
			files: map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n" +
				strings.Repeat("- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", 3001)},
			want: failure{Reason: ReasonTooLarge},
			says: []string{"more than 3000 objects"},
		},
		"AliasBombInPatch": {
			reason: "nor in a patch inside a kustomization",
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches:\n- patch: |\n    " +
					strings.ReplaceAll(configMap("a")+aliasBomb(), "\n", "\n    "),
				"a.yaml": configMap("a"),
			},
			want: failure{Reason: ReasonTooLarge, File: "kustomization.yaml"},
			says: []string{"aliases"},
		},
		"EncryptedSecret": {
			reason: "what SOPS has encrypted must not reach the cluster as it is",
			files:  map[string]string{"a.yaml": configMap("a") + "sops: {mac: 'ENC[x]'}\n"},
			want:   failure{Reason: ReasonDecryptionFailed, Object: "ConfigMap/a"},
			says:   []string{"SOPS", "spec.decryption"},
		},
		"KeyService": {
			reason: "key services aren't served, and what asks for one says so",
			files:  map[string]string{"a.yaml": configMap("a")},
			spec:   kustomizev1.KustomizationSpec{Decryption: &kustomizev1.Decryption{Provider: "sops", ServiceAccountName: "kms"}},
			want:   failure{Reason: ReasonUnsupported},
			says:   []string{"spec.decryption.serviceAccountName", "updatekeys"},
		},
		"OtherProvider": {
			reason: "there is one",
			files:  map[string]string{"a.yaml": configMap("a")},
			spec:   kustomizev1.KustomizationSpec{Decryption: &kustomizev1.Decryption{Provider: "other"}},
			want:   failure{Reason: ReasonUnsupported},
			says:   []string{"spec.decryption", "sops"},
		},
		"MissingComponent": {
			reason: "spec.components are checked",
			files:  map[string]string{"app/a.yaml": configMap("a")},
			path:   "app",
			spec:   kustomizev1.KustomizationSpec{Components: []string{"../parts/gone"}},
			want:   failure{Reason: ReasonBuildFailed},
			says:   []string{"no folder parts/gone", "ignoreMissingComponents"},
		},
		"RemoteComponent": {
			reason: "spec.components are local",
			files:  map[string]string{"a.yaml": configMap("a")},
			spec:   kustomizev1.KustomizationSpec{Components: []string{"https://example.org/x"}},
			want:   failure{Reason: ReasonUnsupported},
			says:   []string{"inside the source"},
		},
		"SecretsStayOut": {
			reason: "what Kustomize quotes of a Secret is not shown",
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |-\n" +
					"    - {op: test, path: /stringData/password, value: other}\n",
				"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}\n",
			},
			want: failure{Reason: ReasonBuildFailed, File: "kustomization.yaml"},
		},
		"SecretLiteralsStayOut": {
			reason: "nor a literal of a generator",
			files:  map[string]string{"kustomization.yaml": "secretGenerator:\n- name: a\n  literals: [hunter2]\n"},
			want:   failure{Reason: ReasonBuildFailed, File: "kustomization.yaml"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New().Build(context.Background(), Input{Tree: tree(tc.files), Path: tc.path, Spec: tc.spec})
			if err == nil {
				t.Fatalf("%s: got no error", tc.reason)
			}
			got, text := failureOf(t, err)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, text)
			}
			for _, s := range tc.says {
				if !strings.Contains(text, s) {
					t.Errorf("%s: %q does not say %q", tc.reason, text, s)
				}
			}
			for _, s := range []string{mount, "hunter2", "\n"} {
				if strings.Contains(text, s) {
					t.Errorf("%s: %q must not have %q in it", tc.reason, text, s)
				}
			}
		})
	}
}

func aliasBomb() string {
	var b strings.Builder
	b.WriteString("data:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func aliasChain(length int) string {
	var b strings.Builder
	b.WriteString("data:\n  a0: &a0 [x]\n")
	for i := 1; i < length; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [*a%d]\n", i, i, i-1)
	}
	return b.String()
}

func TestBuildStaysOffTheNetwork(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(configMap("remote")))
	}))
	defer server.Close()
	url := server.URL + "/a.yaml"
	cases := map[string]map[string]string{
		"Resource":       {"kustomization.yaml": "resources: ['" + url + "']\n"},
		"Base":           {"kustomization.yaml": "bases: ['" + server.URL + "/org/repo//base?ref=main']\n"},
		"GitHub":         {"kustomization.yaml": "resources: [github.com/org/repo/base]\n"},
		"SSH":            {"kustomization.yaml": "resources: ['git@example.org:org/repo.git']\n"},
		"File":           {"kustomization.yaml": "resources: ['file:///etc']\n"},
		"Forced":         {"kustomization.yaml": "resources: ['git::https://example.org/org/repo']\n"},
		"Component":      {"kustomization.yaml": "components: ['" + url + "']\n"},
		"Patch":          {"kustomization.yaml": "patches: [{path: '" + url + "'}]\n"},
		"StrategicMerge": {"kustomization.yaml": "patchesStrategicMerge: ['" + url + "']\n"},
		"JSONPatch":      {"kustomization.yaml": "patchesJson6902: [{target: {kind: A, name: a}, path: '" + url + "'}]\n"},
		"CRD":            {"kustomization.yaml": "crds: ['" + url + "']\n"},
		"Configuration":  {"kustomization.yaml": "configurations: ['" + url + "']\n"},
		"OpenAPI":        {"kustomization.yaml": "openapi: {path: '" + url + "'}\n"},
		"Replacement":    {"kustomization.yaml": "replacements: [{path: '" + url + "'}]\n"},
		"GeneratorFile":  {"kustomization.yaml": "configMapGenerator: [{name: a, files: ['k=" + url + "']}]\n"},
		"GeneratorEnv":   {"kustomization.yaml": "secretGenerator: [{name: a, env: '" + url + "'}]\n"},
		"Generator":      {"kustomization.yaml": "generators: ['" + url + "']\n"},
		"PluginFile": {
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: a}\nfiles: ['k=" + url + "']\n",
		},
		"InlinePlugin": {
			"kustomization.yaml": "resources: [a.yaml]\ntransformers:\n- |\n  apiVersion: builtin\n  kind: PatchTransformer\n" +
				"  metadata: {name: a}\n  path: " + url + "\n",
			"a.yaml": configMap("a"),
		},
		"InNestedBase": {
			"kustomization.yaml":   "resources: [b]\n",
			"b/kustomization.yaml": "resources: ['HTTP" + strings.TrimPrefix(url, "http") + "']\n",
		},
	}
	for name, files := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New().Build(context.Background(), Input{Tree: tree(files)})
			if err == nil {
				t.Fatal("a remote reference must be refused")
			}
			got, text := failureOf(t, err)
			if got.Reason != ReasonUnsupported || !strings.Contains(text, "remote") || !strings.Contains(text, "vendor") {
				t.Errorf("want a refusal that says what to do, got %s: %s", got.Reason, text)
			}
		})
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

func TestRemoteErrorsHideCredentials(t *testing.T) {
	files := map[string]string{"kustomization.yaml": "resources: ['https://me:hunter2@example.org/x?token=hunter2']\n"}
	_, err := New().Build(context.Background(), Input{Tree: tree(files)})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("want an error without the password, got: %v", err)
	}
}

func TestLocalNamesThatLookRemote(t *testing.T) {
	files := map[string]string{
		"kustomization.yaml": "resources: ['front@1.yaml', 'http/a.yaml', 'a..b.yaml']\n",
		"front@1.yaml":       configMap("a"),
		"http/a.yaml":        configMap("b"),
		"a..b.yaml":          configMap("c"),
	}
	got, err := New().Build(context.Background(), Input{Tree: tree(files)})
	if err != nil || len(got.Objects) != 3 {
		t.Errorf("local files must build whatever they are called: %v", err)
	}
}

func TestLimits(t *testing.T) {
	many := map[string]string{}
	for i := range 5 {
		many[fmt.Sprintf("f%d.yaml", i)] = configMap(fmt.Sprintf("c%d", i)) + "data: {x: " + strings.Repeat("y", 200) + "}\n"
	}
	diamonds := map[string]string{"d0/a.yaml": configMap("a"), "d0/kustomization.yaml": "resources: [a.yaml]\n"}
	for i := 1; i < 20; i++ {
		for _, side := range []string{"l", "r"} {
			diamonds[fmt.Sprintf("d%d/%s/kustomization.yaml", i, side)] = fmt.Sprintf("namePrefix: %s\nresources: [../../d%d]\n", side, i-1)
		}
		diamonds[fmt.Sprintf("d%d/kustomization.yaml", i)] = "resources: [l, r]\n"
	}
	cases := map[string]struct {
		reason string
		limits Limits
		files  map[string]string
		path   string
	}{
		"FileBytes":      {"one large file", Limits{FileBytes: 100}, many, ""},
		"InputBytes":     {"many files", Limits{InputBytes: 500}, many, ""},
		"Files":          {"a folder of many files", Limits{Files: 3}, many, ""},
		"Objects":        {"many objects", Limits{Objects: 4}, many, ""},
		"RenderedBytes":  {"large objects", Limits{RenderedBytes: 700}, many, ""},
		"Kustomizations": {"bases that double at every level", Limits{Kustomizations: 300}, diamonds, "d19"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(WithLimits(tc.limits)).Build(context.Background(), Input{Tree: tree(tc.files), Path: tc.path})
			if err == nil {
				t.Fatalf("%s: want a refusal", tc.reason)
			}
			if got, text := failureOf(t, err); got.Reason != ReasonTooLarge {
				t.Errorf("%s: got %s: %s", tc.reason, got.Reason, text)
			}
		})
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := New().Build(ctx, Input{Tree: tree(map[string]string{"a.yaml": configMap("a")})})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

type brokenFS struct{ fstest.MapFS }

func (f brokenFS) ReadFile(name string) ([]byte, error) {
	if name == "a.yaml" {
		return nil, errors.New("disk on fire")
	}
	return f.MapFS.ReadFile(name)
}

func TestBuildReportsTreesThatCannotBeRead(t *testing.T) {
	files := brokenFS{fstest.MapFS{"a.yaml": {Data: []byte(configMap("a"))}}}
	_, err := New().Build(context.Background(), Input{Tree: TreeOf(files)})
	if err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("want the file system's own error, got %v", err)
	}
}
