package takeover_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	labtest.Main(m)
}

// Whose an object is: the label that both engines select by.
const (
	engine  = "engine"
	slipway = "slipway"
)

type world struct {
	*labtest.Env
	*testing.T
	client client.Client
	repo   *gitserver.Repo
	group  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t)
	_, repo := gittest.Start(t, "shop", gitserver.Options{})
	w := &world{Env: env, T: t, client: env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme, apiextensionsv1.AddToScheme), repo: repo, group: strings.ReplaceAll(env.Namespace, "-", "") + ".example"}
	w.otherSources()
	return w
}

// otherSources defines the kinds of sources that Flux insists on and that may not be Slipway's yet.
func (w *world) otherSources() {
	w.Helper()
	yes := true
	for plural, kind := range map[string]string{"ocirepositories": "OCIRepository", "buckets": "Bucket", "externalartifacts": "ExternalArtifact"} {
		crd := &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: plural + ".source.toolkit.fluxcd.io"},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: "source.toolkit.fluxcd.io", Scope: apiextensionsv1.NamespaceScoped,
				Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Kind: kind, ListKind: kind + "List", Singular: strings.ToLower(kind)},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: "v1", Served: true, Storage: true,
					Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &yes}},
				}},
			},
		}
		if err := w.client.Create(w.Context(), crd); client.IgnoreAlreadyExists(err) != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) address() string {
	w.Helper()
	port, err := control.FreePort("127.0.0.1")
	if err != nil {
		w.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// startSlipway runs the agent for what has the label. It serves what it fetched to Flux, too.
func (w *world) startSlipway() {
	w.Helper()
	at := w.address()
	opts := agent.Options{
		DataDir: w.TempDir(), Selector: labels.SelectorFromSet(labels.Set{engine: slipway}), ArtifactAddress: at, Advertise: "http://" + at,
	}
	opts.Kustomizations.AllowAgentIdentity = true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, w.Config, opts) }()
	w.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("agent: %v", err)
		}
	})
}

// startFlux runs the stock kustomize-controller for what doesn't have the label.
func (w *world) startFlux() {
	w.Helper()
	build := exec.CommandContext(w.Context(), "go", "run", "./upstream", "kustomize-controller")
	build.Dir = "../../tools"
	path, err := build.Output()
	if err != nil {
		w.Fatalf("build the stock kustomize-controller: %v", err)
	}
	dir := w.TempDir()
	log := filepath.Join(dir, "flux.log")
	p, err := process.Tether(process.Spec{
		Lab: dir, Name: "kustomize-controller", Program: strings.TrimSpace(string(path)), Dir: dir, Log: log,
		Args: []string{
			"--watch-all-namespaces", "--watch-label-selector=!" + engine, "--enable-leader-election=false", "--events-addr=",
			"--metrics-addr=" + w.address(), "--health-addr=" + w.address(), "--log-level=info", "--log-encoding=json",
		},
		Env: []string{"KUBECONFIG=" + w.Kubeconfig, "RUNTIME_NAMESPACE=" + w.Namespace, "TMPDIR=" + dir},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		p.Stop()
		if w.Failed() {
			w.Logf("the end of Flux's log:\n%s", process.Tail(log, 15))
		}
	})
}

func (w *world) commit(files map[string]string) string {
	w.Helper()
	sha, err := w.repo.Commit(w.Context(), files, "change")
	if err != nil {
		w.Fatal(err)
	}
	return "main@sha1:" + sha
}

func (w *world) until(what string, holds func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		w.Fatalf("never came true: %s; %v", what, w.shop().Status)
	}
}

func (w *world) shop() *kustomizev1.Kustomization {
	w.Helper()
	ks := &kustomizev1.Kustomization{}
	if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "shop"}, ks); err != nil {
		w.Fatal(err)
	}
	return ks
}

// ready waits until the Kustomization is Ready at a revision.
func (w *world) ready(revision string) {
	w.Helper()
	w.until("it is ready at "+revision, func() bool {
		ks := w.shop()
		return ks.Status.LastAppliedRevision == revision && apimeta.IsStatusConditionTrue(ks.Status.Conditions, meta.ReadyCondition)
	})
}

// hand gives the Kustomization to an engine, asks for a reconcile in the same write, and waits until it is done.
func (w *world) hand(to string) {
	w.Helper()
	token := time.Now().Format(time.RFC3339Nano)
	label := `null`
	if to == slipway {
		label = `"` + slipway + `"`
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s},"annotations":{%q:%q}}}`, engine, label, meta.ReconcileRequestAnnotation, token)
	if err := w.client.Patch(w.Context(), w.shop(), client.RawPatch(types.MergePatchType, patch)); err != nil {
		w.Fatal(err)
	}
	w.until(to+" has looked at everything", func() bool {
		ks := w.shop()
		return ks.Status.LastHandledReconcileAt == token && apimeta.IsStatusConditionTrue(ks.Status.Conditions, meta.ReadyCondition)
	})
}

// snapshot is everything of an object that a write would move.
type snapshot struct {
	ResourceVersion string
	Generation      int64
	ManagedFields   string
}

func (w *world) objects() map[string]snapshot {
	w.Helper()
	all := map[string]snapshot{}
	for _, one := range []struct{ apiVersion, kind, name string }{
		{"apps/v1", "Deployment", "web"},
		{"v1", "Service", "web"},
		{"v1", "ConfigMap", "settings"},
		{"v1", "ConfigMap", "merged"},
		{"autoscaling/v2", "HorizontalPodAutoscaler", "web"},
		{w.group + "/v1", "Widget", "one"},
		{"apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets." + w.group},
	} {
		obj := &unstructured.Unstructured{}
		obj.SetAPIVersion(one.apiVersion)
		obj.SetKind(one.kind)
		key := client.ObjectKey{Namespace: w.Namespace, Name: one.name}
		if one.kind == "CustomResourceDefinition" {
			key.Namespace = ""
		}
		if err := w.client.Get(w.Context(), key, obj); err != nil {
			w.Fatal(err)
		}
		fields, err := json.Marshal(obj.GetManagedFields())
		if err != nil {
			w.Fatal(err)
		}
		all[one.kind+"/"+one.name] = snapshot{obj.GetResourceVersion(), obj.GetGeneration(), string(fields)}
	}
	return all
}

// unmoved checks that nothing but what is named was written since.
func (w *world) unmoved(when string, before map[string]snapshot, but ...string) map[string]snapshot {
	w.Helper()
	now := w.objects()
	was, is := map[string]snapshot{}, map[string]snapshot{}
	for name := range before {
		was[name], is[name] = before[name], now[name]
	}
	for _, name := range but {
		if was[name] == is[name] {
			w.Errorf("%s: %s must have been written", when, name)
		}
		delete(was, name)
		delete(is, name)
	}
	if diff := cmp.Diff(was, is); diff != "" {
		w.Errorf("%s: objects were written that nothing asked for:\n%s", when, diff)
	}
	return now
}

// writes changes an object as a field manager.
func (w *world) writes(manager, apiVersion, kind, name, patch string, sub ...string) {
	w.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(w.Namespace)
	obj.SetName(name)
	body := client.RawPatch(types.MergePatchType, []byte(patch))
	var err error
	if len(sub) > 0 {
		err = w.client.SubResource(sub[0]).Patch(w.Context(), obj, body, &client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{FieldManager: manager}})
	} else {
		err = w.client.Patch(w.Context(), obj, body, client.FieldOwner(manager))
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) manifests() map[string]string {
	return map[string]string{
		"web.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: app, image: "web:1", env: [{name: MODE, value: fast}], ports: [{containerPort: 80}]}
`,
		"service.yaml":  "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n",
		"settings.yaml": settings("1"),
		"merged.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: merged, annotations: {kustomize.toolkit.fluxcd.io/ssa: Merge}}\ndata: {a: \"1\"}\n",
		"hpa.yaml": `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
`,
		"crd.yaml": strings.ReplaceAll(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, default: 3}, colour: {type: string}}}}}
`, "GROUP", w.group),
		"widget.yaml": "apiVersion: " + w.group + "/v1\nkind: Widget\nmetadata: {name: one}\nspec: {colour: red}\n",
	}
}

func settings(value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {value: \"" + value + "\"}\n"
}

// TestObjectsChangeHands gives what the stock kustomize-controller applied to Slipway and back again, twice, with a commit applied by each.
func TestObjectsChangeHands(t *testing.T) {
	w := newWorld(t)
	first := w.commit(w.manifests())
	w.startSlipway()
	w.startFlux()
	for _, obj := range []client.Object{
		&sourcev1.GitRepository{
			ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: w.Namespace, Labels: map[string]string{engine: slipway}},
			Spec: sourcev1.GitRepositorySpec{
				URL: w.repo.URL(), Interval: metav1.Duration{Duration: time.Second}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
			},
		},
		&kustomizev1.Kustomization{
			ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: w.Namespace},
			Spec: kustomizev1.KustomizationSpec{
				Interval: metav1.Duration{Duration: time.Hour}, Prune: true, TargetNamespace: w.Namespace,
				SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
			},
		},
	} {
		if err := w.client.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	w.ready(first)
	w.writes("autoscaler", "apps/v1", "Deployment", "web", `{"spec":{"replicas":4}}`, "scale")
	w.writes("deployment-controller", "apps/v1", "Deployment", "web", `{"status":{"replicas":4,"observedGeneration":2}}`, "status")
	w.writes("kubectl-edit", "v1", "ConfigMap", "merged", `{"data":{"by-hand":"yes"}}`)
	w.writes("other-controller", "v1", "Service", "web", `{"metadata":{"annotations":{"example.com/seen":"yes"}}}`)

	before := w.objects()
	w.hand(slipway)
	before = w.unmoved("Flux to Slipway", before)
	second := w.commit(map[string]string{"settings.yaml": settings("2")})
	w.ready(second)
	before = w.unmoved("a commit, by Slipway", before, "ConfigMap/settings")

	w.hand("flux")
	before = w.unmoved("Slipway to Flux", before)
	third := w.commit(map[string]string{"settings.yaml": settings("3")})
	w.ready(third)
	before = w.unmoved("a commit, by Flux", before, "ConfigMap/settings")

	w.hand(slipway)
	w.unmoved("Flux to Slipway again", before)
	if got := len(w.shop().Status.Inventory.Entries); got != len(before) {
		t.Errorf("%d objects in the inventory, want %d", got, len(before))
	}
}
