package pack_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source"
)

func storeOf(t *testing.T) *source.Store {
	t.Helper()
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// tree makes a folder of files.
func tree(files map[string]string) fs.FS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

func open(t *testing.T, files map[string]string) *pack.Package {
	t.Helper()
	p, err := pack.Open(t.Context(), storeOf(t), tree(files))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t *testing.T, p *pack.Package, r pack.Rendering) []*unstructured.Unstructured {
	t.Helper()
	objects, err := p.Render(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// names are the objects as KIND/NAMESPACE/NAME.
func names(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range objects {
		all = append(all, strings.Join([]string{o.GetKind(), o.GetNamespace(), o.GetName()}, "/"))
	}
	return all
}

const (
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: runner}
spec:
  selector: {matchLabels: {app: runner}}
  template:
    metadata: {labels: {app: runner}}
    spec:
      containers:
      - name: main
        image: quay.io/jetstack/runner:1
        args: [--helper-image=registry.example.com/helper:1, --other=registry.example.com/helper:2]
        env: [{name: HELPER, value: "registry.example.com/helper:1"}]
      initContainers: [{name: init, image: busybox}]
`
	clusterRole = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: runner, namespace: wrong}\n"
	definition  = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: jobs.example.com}
spec: {group: example.com, scope: %s, names: {kind: Job, plural: jobs}}
`
	job   = "apiVersion: example.com/v1\nkind: Job\nmetadata: {name: one}\n"
	other = "apiVersion: other.example.com/v1\nkind: Other\nmetadata: {name: one}\n"
)

func TestRenderManifests(t *testing.T) {
	p := open(t, map[string]string{
		"package.yaml": least, "manifests/b.yaml": deployment, "manifests/sub/a.yaml": clusterRole + "---\n" + job + "---\n" + other,
		"crds/jobs.yaml": strings.Replace(definition, "%s", "Namespaced", 1),
	})
	got := names(render(t, p, pack.Rendering{Name: "runner", Namespace: "runners"}))
	want := []string{
		"CustomResourceDefinition//jobs.example.com", "Deployment/runners/runner", "Job/runners/one", "Other//one", "ClusterRole//runner",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects that have a namespace get it, those that have none lose it, and of those that nobody knows none is guessed (-want +got):\n%s", diff)
	}
	asked := render(t, p, pack.Rendering{Namespace: "runners", Scope: func(gk schema.GroupKind) (bool, bool) {
		return true, gk == schema.GroupKind{Group: "other.example.com", Kind: "Other"}
	}})
	if got := names(asked)[3]; got != "Other/runners/one" {
		t.Errorf("who knows the cluster is asked for what the package doesn't say: got %s", got)
	}
}

func TestRenderIsDeterministic(t *testing.T) {
	p := open(t, map[string]string{"package.yaml": least, "manifests/b.yaml": deployment, "manifests/a.yaml": clusterRole + "---\n" + job})
	first, err := json.Marshal(render(t, p, pack.Rendering{Namespace: "a"}))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := json.Marshal(render(t, p, pack.Rendering{Namespace: "a"}))
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(again) {
			t.Fatalf("the same package gives other objects:\n%s\n%s", first, again)
		}
	}
}

func TestRenderKustomizeFolder(t *testing.T) {
	p := open(t, map[string]string{
		"package.yaml": least, "manifests/kustomization.yaml": "resources: [base]\nnamePrefix: my-\n",
		"manifests/base/kustomization.yaml": "resources: [deployment.yaml]\n", "manifests/base/deployment.yaml": deployment,
	})
	if got := names(render(t, p, pack.Rendering{Namespace: "a"})); !cmp.Equal(got, []string{"Deployment/a/my-runner"}) {
		t.Errorf("got %v", got)
	}
}

func TestRenderRefusesRemoteBases(t *testing.T) {
	p := open(t, map[string]string{"package.yaml": least, "manifests/kustomization.yaml": "resources: ['https://example.com/base.yaml']\n"})
	if _, err := p.Render(t.Context(), pack.Rendering{}); err == nil {
		t.Error("a package that fetches something else isn't bound to its bytes")
	}
}

func TestSubstitute(t *testing.T) {
	files := map[string]string{
		"package.yaml":     least + "substitute: true\nvalues: {name: a, deep: {er-value: 1}}\n",
		"manifests/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '${name}'}\ndata: {a: 'n${deep_er_value}'}\n",
		"crds/a.yaml":      strings.Replace(definition, "%s", "Cluster, description: 'about ${nothing}'", 1),
	}
	got := render(t, open(t, files), pack.Rendering{Values: pack.Values{"name": "b"}, Namespace: "x"})
	data, _, _ := unstructured.NestedStringMap(got[0].Object, "data")
	if got[0].GetName() != "b" || data["a"] != "n1" {
		t.Errorf("got %v", got[0].Object)
	}
	files["package.yaml"] = least
	if got := render(t, open(t, files), pack.Rendering{Namespace: "x"}); got[0].GetName() != "${name}" {
		t.Errorf("without substitute, $ means nothing: got %s", got[0].GetName())
	}
}

func TestImagesAreTakenFromElsewhere(t *testing.T) {
	p := open(t, map[string]string{"package.yaml": least + "images: ['registry.example.com/helper:1']\n", "manifests/a.yaml": deployment})
	objects := render(t, p, pack.Rendering{Images: []v1alpha1.ImageRewrite{
		{From: "quay.io/jet", To: "wrong"},
		{From: "quay.io/jetstack", To: "mirror.example.com/jetstack"},
		{From: "docker.io", To: "mirror.example.com/hub"},
		{From: "registry.example.com/helper", To: "mirror.example.com/helper"},
	}})
	want := []string{"mirror.example.com/hub/library/busybox", "mirror.example.com/jetstack/runner:1"}
	if diff := cmp.Diff(want, pack.Images(objects)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	text, err := objects[0].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"--helper-image=mirror.example.com/helper:1"`, `"--other=registry.example.com/helper:2"`, `"value":"mirror.example.com/helper:1"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s isn't in %s: only images that the package names are rewritten in arguments", want, text)
		}
	}
}

func TestRewrite(t *testing.T) {
	cases := map[string]struct{ reason, image, from, to, want string }{
		"Part":      {reason: "a prefix ends where a part of the name ends", image: "quay.io/jetstack-x/a:1", from: "quay.io/jetstack", to: "m", want: "quay.io/jetstack-x/a:1"},
		"Tag":       {reason: "the name may end", image: "quay.io/a:1", from: "quay.io/a", to: "m/b", want: "m/b:1"},
		"Digest":    {reason: "a digest stays", image: "quay.io/a@sha256:" + strings.Repeat("0", 64), from: "quay.io", to: "m", want: "m/a@sha256:" + strings.Repeat("0", 64)},
		"Library":   {reason: "what Docker lets people leave out is there all the same", image: "nginx", from: "docker.io/library", to: "m", want: "m/nginx"},
		"Hub":       {reason: "the same for other names", image: "grafana/loki:3", from: "docker.io", to: "m", want: "m/grafana/loki:3"},
		"AsWritten": {reason: "a name as it is written fits, too", image: "grafana/loki:3", from: "grafana", to: "m", want: "m/loki:3"},
		"Slash":     {reason: "a slash at the end makes no difference", image: "quay.io/a:1", from: "quay.io/", to: "m/", want: "m/a:1"},
		"Port":      {reason: "a port isn't a tag", image: "host:5000/a:1", from: "host:5000", to: "m", want: "m/a:1"},
		"Both":      {reason: "a tag and a digest stay", image: "a:1@sha256:" + strings.Repeat("0", 64), from: "docker.io/library/a", to: "m", want: "m:1@sha256:" + strings.Repeat("0", 64)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := pack.Rewrite(c.image, []v1alpha1.ImageRewrite{{From: c.from, To: c.to}}); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
		})
	}
}

func TestValuesAreHeldAgainstTheSchema(t *testing.T) {
	const schema = `schema:
  type: object
  additionalProperties: false
  required: [token]
  properties:
    token: {type: string, pattern: "^tok-"}
    level: {enum: [low, high]}
    replicas: {type: integer, minimum: 1}
    hosts: {type: array, items: {type: string, maxLength: 8}, maxItems: 2}
`
	p := open(t, map[string]string{"package.yaml": least + schema + "substitute: true\n", "manifests/a.yaml": deployment})
	cases := map[string]struct {
		reason string
		values pack.Values
		want   []string // empty: they are good
	}{
		"Good":     {reason: "as the schema wants them", values: pack.Values{"token": "tok-1", "level": "low", "replicas": int64(3)}},
		"Missing":  {reason: "a setting without a default", want: []string{"values:", "set token"}},
		"Unknown":  {reason: "a setting that there isn't", values: pack.Values{"token": "tok-1", "tokne": "hunter22"}, want: []string{"tokne", "spelling"}},
		"Pattern":  {reason: "the value isn't told: it may be secret", values: pack.Values{"token": "hunter22"}, want: []string{"values.token", "^tok-"}},
		"Enum":     {reason: "what can be written is told", values: pack.Values{"token": "tok-1", "level": "hunter22"}, want: []string{"values.level", `"low", "high"`}},
		"Type":     {reason: "another type", values: pack.Values{"token": "tok-1", "replicas": "hunter22"}, want: []string{"values.replicas", "integer"}},
		"Minimum":  {reason: "too small", values: pack.Values{"token": "tok-1", "replicas": int64(0)}, want: []string{"values.replicas", "at least 1"}},
		"Item":     {reason: "the place in a list is told", values: pack.Values{"token": "tok-1", "hosts": []any{"a", "hunter22-too-long"}}, want: []string{"values.hosts[1]", "at most 8"}},
		"Several":  {reason: "all at once", values: pack.Values{"token": "hunter22", "replicas": int64(0)}, want: []string{"values.token", "values.replicas"}},
		"NullGone": {reason: "null takes a setting away", values: pack.Values{"token": nil}, want: []string{"set token"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := p.Render(t.Context(), pack.Rendering{Values: c.values})
			if len(c.want) == 0 {
				if err != nil {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			var bad *pack.Invalid
			if !errors.As(err, &bad) {
				t.Fatalf("%s: got %v, want an *Invalid", c.reason, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %q doesn't say %q", c.reason, err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter22") {
				t.Errorf("%q shows a value", err)
			}
		})
	}
}

func TestBadPackagesAreRefused(t *testing.T) {
	link := tree(map[string]string{"package.yaml": least, "manifests/a.yaml": deployment}).(fstest.MapFS) //nolint:forcetypeassert // It makes one.
	link["manifests/b.yaml"] = &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}
	many := fstest.MapFS{"package.yaml": {Data: []byte(least)}}
	for i := range 6000 {
		many["manifests/"+strings.Repeat("a", i%100+1)+string(rune('a'+i%26))+strings.Repeat("b", i/100)+".yaml"] = &fstest.MapFile{}
	}
	cases := map[string]struct {
		reason string
		files  fs.FS
		want   string
	}{
		"NoManifest":  {reason: "a folder of manifests is no package", files: tree(map[string]string{"manifests/a.yaml": deployment}), want: "slipway package init"},
		"Empty":       {reason: "nothing would be installed", files: tree(map[string]string{"package.yaml": least}), want: "empty"},
		"Link":        {reason: "a link leads somewhere else on another machine", files: link, want: "link"},
		"Many":        {reason: "bounded", files: many, want: "files"},
		"Interpreter": {reason: "not an Interpreter", files: tree(map[string]string{"package.yaml": least, "manifests/a.yaml": deployment, "interpreters/a.yaml": deployment}), want: "interpreters/a.yaml"},
		"Priority": {
			reason: "a package can't come before its platform", want: "priority",
			files: tree(map[string]string{
				"package.yaml": least, "manifests/a.yaml": deployment,
				"interpreters/a.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: Interpreter\nmetadata: {name: a}\nspec: {priority: 5000, target: {group: a.example.com, kind: A}, health: [{state: Healthy}]}\n",
			}),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := pack.Open(t.Context(), storeOf(t), c.files)
			var bad *pack.Invalid
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want an *Invalid that says %q", c.reason, err, c.want)
			}
		})
	}
}

func TestBadContentIsRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		files  map[string]string
		values pack.Values
		want   string
	}{
		"Twice":    {reason: "which of them counts?", files: map[string]string{"manifests/a.yaml": deployment, "crds/a.yaml": deployment}, want: "Deployment/x/runner is there twice"},
		"NoValues": {reason: "values that nothing reads are a mistake", files: map[string]string{"manifests/a.yaml": deployment}, values: pack.Values{"a": "b"}, want: "values"},
		"TwoKeys":  {reason: "a key that is there twice", files: map[string]string{"manifests/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: b}\n"}, want: "manifests/a.yaml"},
		"NoName":   {reason: "an object without a name", files: map[string]string{"manifests/a.yaml": "apiVersion: v1\nkind: ConfigMap\n"}, want: "manifests/a.yaml: a ConfigMap has no metadata.name"},
		"Number":   {reason: "the API server takes text only", files: map[string]string{"manifests/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {a: 1}}\n"}, want: "quotes"},
		"SOPS":     {reason: "nobody could read it", files: map[string]string{"manifests/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nsops: {mac: x}\n"}, want: "SOPS"},
		"NoObject": {reason: "no objects", files: map[string]string{"manifests/kustomization.yaml": "resources: []\n"}, want: ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.files["package.yaml"] = least
			_, err := open(t, c.files).Render(t.Context(), pack.Rendering{Values: c.values, Namespace: "x"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
			}
		})
	}
}

func TestInterpretersHaveThePriorityOfPackages(t *testing.T) {
	p := open(t, map[string]string{
		"package.yaml": least, "manifests/a.yaml": deployment,
		"interpreters/a.yaml": "apiVersion: slipway.dev/v1alpha1\nkind: Interpreter\nmetadata: {name: a}\nspec: {target: {group: a.example.com, kind: A}, health: [{state: Healthy}]}\n",
	})
	if len(p.Interpreters) != 1 || p.Interpreters[0].Name != "a" || *p.Interpreters[0].Definition.Priority != 100 {
		t.Errorf("got %+v", p.Interpreters)
	}
}

func TestRenderEndsWithItsContext(t *testing.T) {
	p := open(t, map[string]string{"package.yaml": least, "manifests/a.yaml": deployment})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Render(ctx, pack.Rendering{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
