package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// laterBy is far more than what the engine takes for the same moment.
const laterBy = time.Hour

// world is a cluster with an engine and a pool on it, as the agent has them.
type world struct {
	t       *testing.T
	env     *labtest.Env
	clients *kube.Clients
	pool    *observe.Pool
	engine  *apply.Engine
	owner   apply.Owner
	seen    *requests
	clock   time.Time // of the engine
	// patience of the engine. What it waits for takes a moment, on a machine that has other things to do.
	patience time.Duration

	mu     sync.Mutex
	events []observe.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	w := &world{t: t, env: env, seen: &requests{}, clock: time.Now(), patience: time.Minute}
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(w.seen.wrap)
	clients, err := kube.NewClients(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.clients = clients
	w.pool = observe.New(clients, observe.Options{Assess: assess, NeedsBody: health.NeedsBody})
	t.Cleanup(w.pool.Close)
	w.pool.Subscribe(func(e observe.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	})
	w.restart()
	w.owner = apply.Owner{Name: "shop", Namespace: env.Namespace}
	return w
}

// assess is what the agent has the pool judge objects with.
func assess(obj *unstructured.Unstructured) observe.Verdict {
	v := health.Assess(obj)
	return observe.Verdict{State: string(v.State), Reason: v.Reason, Message: v.Message}
}

// restart replaces the engine by one that remembers nothing.
func (w *world) restart() {
	w.engine = apply.New(w.clients, w.pool, apply.Settings{
		Patience: w.patience,
		Now:      func() time.Time { return w.clock },
	})
}

func (w *world) options() apply.Options { return apply.Options{Owner: w.owner} }

// watch has the pool watch the objects, as delivery does around an apply.
func (w *world) watch(objs []*unstructured.Unstructured) {
	w.t.Helper()
	refs := make([]kube.Ref, len(objs))
	for i, o := range objs {
		refs[i] = kube.RefOf(o)
	}
	if _, err := w.pool.Ensure(w.t.Context(), w.owner.Name, kube.Identity{}, refs); err != nil {
		w.t.Fatal(err)
	}
}

// apply applies objects that are watched, and returns what changed and which requests that took.
func (w *world) apply(objs []*unstructured.Unstructured, change ...func(*apply.Options)) (map[string]apply.Action, []string, error) {
	w.t.Helper()
	w.watch(objs)
	opts := w.options()
	for _, c := range change {
		c(&opts)
	}
	w.seen.reset()
	result, err := w.engine.Apply(w.t.Context(), objs, opts)
	return actions(result.Changes), w.seen.writes(), err
}

func (w *world) mustApply(objs []*unstructured.Unstructured, change ...func(*apply.Options)) (map[string]apply.Action, []string) {
	w.t.Helper()
	got, requests, err := w.apply(objs, change...)
	if err != nil {
		w.t.Fatalf("apply: %v", err)
	}
	w.eventually("the watch sees what was applied", func() bool {
		for _, o := range objs {
			if _, _, watched := w.pool.Get(kube.RefOf(o)); watched && !w.engine.InSync(w.owner, kube.RefOf(o)) {
				return false
			}
		}
		return true
	})
	return got, requests
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 5*time.Millisecond, 90*time.Second, true, func(context.Context) (bool, error) { return ok(), nil })
	if err != nil {
		w.t.Fatalf("never came true: %s", what)
	}
}

func (w *world) eventsOf(ref kube.Ref) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Ref == ref {
			n++
		}
	}
	return n
}

func (w *world) get(ref kube.Ref) *unstructured.Unstructured {
	w.t.Helper()
	obj, err := w.clients.Get(w.t.Context(), kube.Identity{}, ref)
	if err != nil {
		w.t.Fatalf("get %s: %v", ref.Subject(), err)
	}
	return obj
}

func (w *world) exists(ref kube.Ref) bool {
	w.t.Helper()
	_, err := w.clients.Get(w.t.Context(), kube.Identity{}, ref)
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatalf("get %s: %v", ref.Subject(), err)
	}
	return err == nil
}

// objects reads YAML documents; namespaced ones without a namespace get the test's.
func (w *world) objects(docs string) []*unstructured.Unstructured {
	w.t.Helper()
	var out []*unstructured.Unstructured
	for doc := range strings.SplitSeq(docs, "\n---\n") {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(doc, "$NS", w.env.Namespace)), &obj.Object); err != nil {
			w.t.Fatalf("read %s: %v", doc, err)
		}
		switch obj.GetKind() {
		case "Namespace", "CustomResourceDefinition", "ClusterRole", "IngressClass":
		default:
			if obj.GetNamespace() == "" {
				obj.SetNamespace(w.env.Namespace)
			}
		}
		out = append(out, obj)
	}
	return out
}

func (w *world) configMap(name string, data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": w.env.Namespace},
		"data":     data,
	}}
}

func deployment(namespace, name, image string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"spec": map[string]any{
			"replicas": int64(1),
			"selector": map[string]any{"matchLabels": map[string]any{"app": name}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": name}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": image}}},
			},
		},
	}}
}

func (w *world) deployment(name, image string) *unstructured.Unstructured {
	return deployment(w.env.Namespace, name, image)
}

func actions(changes []apply.Change) map[string]apply.Action {
	out := map[string]apply.Action{}
	for _, c := range changes {
		out[c.Ref.Kind+"/"+c.Ref.Name] = c.Action
	}
	return out
}

func forced(o *apply.Options) { o.Force = true }

func annotate(obj *unstructured.Unstructured, key, value string) *unstructured.Unstructured {
	notes := obj.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	notes["kustomize.toolkit.fluxcd.io/"+key] = value
	obj.SetAnnotations(notes)
	return obj
}

// requests counts what goes over the wire.
type requests struct {
	mu   sync.Mutex
	list []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		what := req.Method
		if req.URL.Query().Has("dryRun") {
			what += "?dryRun"
		}
		if req.URL.Query().Has("watch") {
			what = "WATCH"
		}
		r.mu.Lock()
		r.list = append(r.list, fmt.Sprintf("%s %s", what, req.URL.Path))
		r.mu.Unlock()
		return next.RoundTrip(req)
	})
}

func (r *requests) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = nil
}

// writes returns the requests since the last reset without watches.
func (r *requests) writes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, s := range r.list {
		if !strings.HasPrefix(s, "WATCH") {
			out = append(out, s)
		}
	}
	return out
}

// someoneElse patches an object as another field manager.
func (w *world) someoneElse(ref kube.Ref, manager string, patchType string, body string, sub ...string) {
	w.t.Helper()
	client, err := w.clients.For(kube.Identity{})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.clients.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	api := client.Dynamic.Resource(m.Resource)
	opts := metav1.PatchOptions{FieldManager: manager}
	if patchType == "application/apply-patch+yaml" {
		yes := true
		opts.Force = &yes
	}
	if _, err := api.Namespace(ref.Namespace).Patch(w.t.Context(), ref.Name, patchTypeOf(patchType), []byte(body), opts, sub...); err != nil {
		w.t.Fatalf("patch %s as %s: %v", ref.Subject(), manager, err)
	}
}

func objectsOf(objs ...*unstructured.Unstructured) []*unstructured.Unstructured { return objs }

func equal(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }

func (w *world) deleteNow(ref kube.Ref) {
	w.t.Helper()
	client, err := w.clients.For(kube.Identity{})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.clients.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	var api dynamic.ResourceInterface = client.Dynamic.Resource(m.Resource)
	if ref.Namespace != "" {
		api = client.Dynamic.Resource(m.Resource).Namespace(ref.Namespace)
	}
	if err := api.Delete(w.t.Context(), ref.Name, metav1.DeleteOptions{}); err != nil {
		w.t.Fatalf("delete %s: %v", ref.Subject(), err)
	}
}

// otherEngine returns an engine with a memory of its own, as another process would have it.
func (w *world) otherEngine() *apply.Engine { return apply.New(w.clients, nil, apply.Settings{}) }

// frozen is a watch that has stopped to see one object change.
type frozen struct {
	*observe.Pool
	ref      kube.Ref
	state    observe.State
	exists   bool
	progress string
}

func (f *frozen) freeze(ref kube.Ref) {
	f.state, f.exists, _ = f.Pool.Get(ref)
	f.progress = f.Pool.Progress(ref)
	f.ref = ref
}

func (f *frozen) Get(ref kube.Ref) (observe.State, bool, bool) {
	if ref == f.ref {
		return f.state, f.exists, true
	}
	return f.Pool.Get(ref)
}

func (f *frozen) Progress(ref kube.Ref) string {
	if ref == f.ref {
		return f.progress
	}
	return f.Pool.Progress(ref)
}

// admin writes ConfigMaps past the engine.
func (w *world) admin() dynamic.NamespaceableResourceInterface {
	w.t.Helper()
	c, err := w.clients.For(kube.Identity{})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Dynamic.Resource(configMaps)
}
