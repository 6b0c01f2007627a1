package observe_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// world is a cluster with a pool on it, over a line that can be cut.
type world struct {
	t    *testing.T
	env  *labtest.Env
	line *line
	// config leads over the line.
	config *rest.Config
	// admin goes past the line.
	admin *kube.Clients
	pool  *observe.Pool

	mu     sync.Mutex
	events []observe.Event
}

func newWorld(t *testing.T, as func(*labtest.Env) *rest.Config) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	w := &world{t: t, env: env, line: &line{}}
	cfg := rest.CopyConfig(env.Config)
	if as != nil {
		cfg = as(env)
	}
	cfg.Wrap(w.line.wrap)
	w.config = cfg
	w.admin = clients(t, env.Config)
	w.pool = observe.New(clients(t, cfg), observe.Options{
		Assess:       assess,
		NeedsBody:    func(gvk schema.GroupVersionKind) bool { return gvk.Kind == "Deployment" },
		FirstBackoff: 10 * time.Millisecond, MaxBackoff: 200 * time.Millisecond, SyncTimeout: 30 * time.Second,
	})
	t.Cleanup(w.pool.Close)
	w.pool.Subscribe(func(e observe.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	})
	return w
}

func clients(t *testing.T, cfg *rest.Config) *kube.Clients {
	t.Helper()
	c, err := kube.NewClients(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func assess(obj *unstructured.Unstructured) observe.Verdict {
	ready, _, _ := unstructured.NestedInt64(obj.Object, "status", "readyReplicas")
	if obj.GetKind() == "Deployment" && ready == 0 {
		return observe.Verdict{State: "Progressing", Message: "0 ready"}
	}
	return observe.Verdict{State: observe.Healthy}
}

func (w *world) configMap(name string) kube.Ref {
	return kube.Ref{Version: "v1", Kind: "ConfigMap", Namespace: w.env.Namespace, Name: name}
}

// apply writes an object as the field manager that is watched, past the line.
func (w *world) apply(ref kube.Ref, body string) {
	w.t.Helper()
	w.patch(ref, "kustomize-controller", types.ApplyPatchType, body)
}

func (w *world) patch(ref kube.Ref, manager string, pt types.PatchType, body string, sub ...string) {
	w.t.Helper()
	c, err := w.admin.For(kube.Identity{})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.admin.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	opts := metav1.PatchOptions{FieldManager: manager}
	if pt == types.ApplyPatchType {
		yes := true
		opts.Force = &yes
	}
	if _, err := c.Dynamic.Resource(m.Resource).Namespace(ref.Namespace).Patch(w.t.Context(), ref.Name, pt, []byte(body), opts, sub...); err != nil {
		w.t.Fatal(err)
	}
}

const owned = `"labels":{"kustomize.toolkit.fluxcd.io/name":"shop","kustomize.toolkit.fluxcd.io/namespace":"apps"}`

func (w *world) applyConfigMap(name, value string) kube.Ref {
	w.t.Helper()
	ref := w.configMap(name)
	w.apply(ref, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"`+name+`",`+owned+`},"data":{"k":"`+value+`"}}`)
	return ref
}

func (w *world) delete(ref kube.Ref) {
	w.t.Helper()
	c, err := w.admin.For(kube.Identity{})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.admin.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	if ref.Namespace == "" {
		err = c.Dynamic.Resource(m.Resource).Delete(w.t.Context(), ref.Name, metav1.DeleteOptions{})
	} else {
		err = c.Dynamic.Resource(m.Resource).Namespace(ref.Namespace).Delete(w.t.Context(), ref.Name, metav1.DeleteOptions{})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ensure(owner string, id kube.Identity, refs ...kube.Ref) []kube.Ref {
	w.t.Helper()
	unwatched, err := w.pool.Ensure(w.t.Context(), owner, id, refs)
	if err != nil {
		w.t.Fatal(err)
	}
	return unwatched
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 5*time.Millisecond, 90*time.Second, true, func(context.Context) (bool, error) { return ok(), nil })
	if err != nil {
		w.t.Fatalf("never came true: %s", what)
	}
}

// told returns how many events told that an object came, changed and went.
func (w *world) told(ref kube.Ref) (came, changed, went int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		switch {
		case e.Ref != ref:
		case e.Old == nil:
			came++
		case e.New == nil:
			went++
		default:
			changed++
		}
	}
	return came, changed, went
}

// line is a connection to the API server that can be cut and disturbed.
type line struct {
	mu      sync.Mutex
	cut     bool
	expired bool // the next watch is answered with 410
	streams []io.Closer
	seen    []string
}

func (l *line) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		watching := req.URL.Query().Has("watch")
		l.mu.Lock()
		l.seen = append(l.seen, req.Method+" "+req.URL.String()+" "+req.Header.Get("Accept"))
		cut, expired := l.cut, l.expired && watching
		if expired {
			l.expired = false
		}
		l.mu.Unlock()
		if cut {
			return nil, errors.New("the line is cut")
		}
		if expired {
			body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"too old resource version","code":410}`
			return &http.Response{StatusCode: http.StatusGone, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewBufferString(body)), Request: req}, nil
		}
		resp, err := next.RoundTrip(req)
		if err == nil && watching {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.cut { // meanwhile
				resp.Body.Close()
				return nil, errors.New("the line is cut")
			}
			l.streams = append(l.streams, resp.Body)
		}
		return resp, err
	})
}

// drop cuts all watches that run; with cut nothing gets through after it.
func (l *line) drop(cut, expired bool) {
	l.mu.Lock()
	streams := l.streams
	l.streams, l.cut, l.expired = nil, cut, expired
	l.mu.Unlock()
	for _, s := range streams {
		s.Close()
	}
}

func (l *line) mend() { l.drop(false, false) }

func (l *line) count(parts ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
next:
	for _, s := range l.seen {
		for _, p := range parts {
			if !strings.Contains(s, p) {
				continue next
			}
		}
		n++
	}
	return n
}

func TestOneWatchForAll(t *testing.T) {
	w := newWorld(t, nil)
	a := w.applyConfigMap("a", "1")
	b := kube.Ref{Version: "v1", Kind: "ConfigMap", Namespace: "elsewhere", Name: "b"}
	if u := w.ensure("one", kube.Identity{}, a); len(u) != 0 {
		t.Errorf("want all watched, not %v", u)
	}
	if u := w.ensure("two", kube.Identity{Namespace: "x", ServiceAccount: "y"}, b); len(u) != 0 {
		t.Errorf("want all watched, not %v", u)
	}
	w.eventually("the watch runs", func() bool { return w.line.count("configmaps", "watch=true") == 1 })
	if n := w.line.count("configmaps"); n != 2 {
		t.Errorf("want one list and one watch, got %d requests", n)
	}
	if n := w.line.count("configmaps", "as=PartialObjectMetadata"); n != 2 {
		t.Errorf("a ConfigMap is healthy by existing: want its metadata alone, got %v", w.line.seen)
	}
	if _, exists, watched := w.pool.Get(a); !exists || !watched {
		t.Errorf("want a known, got %v, %v", exists, watched)
	}
	if _, exists, watched := w.pool.Get(b); exists || !watched {
		t.Errorf("want b known as absent, got %v, %v", exists, watched)
	}
	if s, _, _ := w.pool.Get(a); s.Owner != "apps/shop" || s.UID == "" || s.Owned == ([16]byte{}) {
		t.Errorf("state is not filled: %+v", s)
	}
	noVersion := a
	noVersion.Version = ""
	if _, exists, _ := w.pool.Get(noVersion); !exists {
		t.Error("a reference without a version names the same object")
	}
	w.ensure("one", kube.Identity{})
	if len(w.pool.Watches()) != 1 {
		t.Error("the other owner still needs the watch")
	}
	w.ensure("two", kube.Identity{})
	if left := w.pool.Watches(); len(left) != 0 {
		t.Errorf("want no watch that nobody needs, got %v", left)
	}
	if _, _, watched := w.pool.Get(a); watched {
		t.Error("what isn't watched must not be said to be")
	}
}

func TestEventsThatMatter(t *testing.T) {
	w := newWorld(t, nil)
	ref := kube.Ref{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: w.env.Namespace, Name: "app"}
	w.ensure("shop", kube.Identity{}, ref)
	body := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"app",` + owned + `},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},` +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"IMAGE"}]}}}}`
	w.apply(ref, strings.Replace(body, "IMAGE", "c:1", 1))
	w.eventually("it came", func() bool { came, _, _ := w.told(ref); return came == 1 })
	if s, _, _ := w.pool.Get(ref); s.Health.State != "Progressing" {
		t.Errorf("want it Progressing, got %v", s.Health)
	}

	w.patch(ref, "controller", types.MergePatchType, `{"status":{"replicas":1,"unavailableReplicas":1}}`, "status")
	w.patch(ref, "controller", types.MergePatchType, `{"status":{"replicas":1,"readyReplicas":1,"availableReplicas":1}}`, "status")
	w.eventually("it became healthy, and that is told", func() bool {
		s, _, _ := w.pool.Get(ref)
		_, changed, _ := w.told(ref)
		return s.Health.State == observe.Healthy && changed > 0
	})
	if _, changed, _ := w.told(ref); changed != 1 {
		t.Errorf("of two status updates one changed the verdict: want 1 event, got %d", changed)
	}
	w.patch(ref, "person", types.MergePatchType, `{"spec":{"replicas":5}}`)
	w.eventually("drift is told", func() bool { _, changed, _ := w.told(ref); return changed == 2 })
	w.patch(ref, "person", types.MergePatchType, `{"metadata":{"finalizers":["slipway.dev/test"]}}`)
	w.delete(ref)
	w.eventually("its deletion is told", func() bool { s, _, _ := w.pool.Get(ref); return s.Deleting })
	w.patch(ref, "person", types.MergePatchType, `{"metadata":{"finalizers":null}}`)
	w.eventually("it went", func() bool { _, _, went := w.told(ref); return went == 1 })

	label := w.applyConfigMap("label", "1")
	w.ensure("shop", kube.Identity{}, ref, label)
	w.patch(label, "person", types.MergePatchType, `{"metadata":{"labels":null}}`)
	w.eventually("without its label it is gone", func() bool { _, _, went := w.told(label); return went == 1 })
}

func TestDisconnect(t *testing.T) {
	for name, expired := range map[string]bool{"taken up where it ended": false, "listed again": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			changed, gone, same := w.applyConfigMap("changed", "1"), w.applyConfigMap("gone", "1"), w.applyConfigMap("same", "1")
			w.ensure("shop", kube.Identity{}, changed)
			w.line.drop(true, false)
			w.eventually("the pool says that it is blind", func() bool { _, _, watched := w.pool.Get(same); return !watched })
			if p := w.pool.Watches(); len(p) != 1 || p[0].Err == nil || p[0].Objects < 3 {
				t.Errorf("want the watch listed with its error, got %+v", p)
			}
			w.patch(changed, "person", types.MergePatchType, `{"data":{"k":"2"}}`)
			w.delete(gone)
			fresh := w.applyConfigMap("fresh", "1")
			w.line.drop(false, expired)
			w.eventually("everything that happened meanwhile is told", func() bool {
				_, c, _ := w.told(changed)
				_, _, g := w.told(gone)
				f, _, _ := w.told(fresh)
				return c == 1 && g == 1 && f == 1
			})
			if a, b, c := w.told(same); a+b+c != 0 {
				t.Error("nothing happened to the one that stayed the same")
			}
			if _, _, watched := w.pool.Get(same); !watched {
				t.Error("the watch is back")
			}
			if lists := w.line.count("/configmaps?labelSelector", "limit="); expired != (lists > 1) {
				t.Errorf("%d lists", lists)
			}
		})
	}
}

func TestTenant(t *testing.T) {
	w := newWorld(t, func(env *labtest.Env) *rest.Config { return env.User("agent-without-rights") })
	ref := w.applyConfigMap("a", "1")
	id := kube.Identity{Namespace: w.env.Namespace, ServiceAccount: "tenant"}
	if u := w.ensure("shop", id, ref); len(u) != 1 || u[0] != ref {
		t.Fatalf("nobody may watch it: want it named, got %v", u)
	}
	if _, _, watched := w.pool.Get(ref); watched {
		t.Error("nobody may watch it: nothing may be concluded")
	}
	w.grant("tenant")
	w.eventually("the tenant's rights are used", func() bool { return len(w.ensure("shop", id, ref)) == 0 })
	if p := w.pool.Watches(); len(p) != 1 || p[0].Namespace != w.env.Namespace || p[0].Identity != id {
		t.Errorf("want one watch in the tenant's namespace in its name, got %+v", p)
	}
	if s, exists, _ := w.pool.Get(ref); !exists || s.Owner == "" {
		t.Errorf("want the object known, got %+v", s)
	}
	other := kube.Ref{Version: "v1", Kind: "ConfigMap", Namespace: "kube-system", Name: "a"}
	if _, _, watched := w.pool.Get(other); watched {
		t.Error("other namespaces are not watched")
	}
}

func (w *world) grant(account string) {
	w.t.Helper()
	rbac, meta := w.env.Clientset(w.t).RbacV1(), metav1.ObjectMeta{Name: account, Namespace: w.env.Namespace}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}}}}
	if _, err := rbac.Roles(w.env.Namespace).Create(w.t.Context(), role, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: w.env.Namespace}},
	}
	if _, err := rbac.RoleBindings(w.env.Namespace).Create(w.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestSingleObjects(t *testing.T) {
	w := newWorld(t, nil)
	ref := w.configMap("theirs")
	w.apply(ref, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"theirs"}}`)
	w.ensure("shop", kube.Identity{}, ref)
	if _, exists, _ := w.pool.Get(ref); exists {
		t.Error("without an owner label it is not among ours")
	}
	if u, err := w.pool.EnsureNamed(t.Context(), "shop", kube.Identity{}, []kube.Ref{ref}); err != nil || len(u) != 0 {
		t.Fatalf("watch one object: %v, %v", u, err)
	}
	if _, exists, watched := w.pool.GetNamed(kube.Identity{}, ref); !exists || !watched {
		t.Error("by name it is found")
	}
	noVersion := ref
	noVersion.Version = ""
	if _, exists, _ := w.pool.GetNamed(kube.Identity{}, noVersion); !exists {
		t.Error("a reference without a version names the same object")
	}
	w.delete(ref)
	w.eventually("its end is told", func() bool { _, _, went := w.told(ref); return went == 1 })
	w.ensure("shop", kube.Identity{})
	if len(w.pool.Watches()) != 1 {
		t.Error("what is watched by name is held apart from what is watched by label")
	}
	if _, err := w.pool.EnsureNamed(t.Context(), "shop", kube.Identity{}, nil); err != nil || len(w.pool.Watches()) != 0 {
		t.Errorf("want nothing watched any more, got %v, %v", w.pool.Watches(), err)
	}
}

func TestOthersHealthIsNotTold(t *testing.T) {
	w := newWorld(t, nil)
	ref := w.applyConfigMap("theirs", "1")
	tenant := kube.Identity{Namespace: w.env.Namespace, ServiceAccount: "tenant"}
	w.ensure("them", kube.Identity{}, ref) // in all namespaces
	if _, err := w.pool.EnsureNamed(t.Context(), "them", kube.Identity{}, []kube.Ref{ref}); err != nil {
		t.Fatal(err)
	}
	named := func() []kube.Ref {
		unwatched, err := w.pool.EnsureNamed(t.Context(), "tenant", tenant, []kube.Ref{ref})
		if err != nil {
			t.Fatal(err)
		}
		return unwatched
	}
	if u := named(); len(u) != 1 || u[0] != ref {
		t.Errorf("the tenant may not see it, whoever else does: want it unwatched, got %v", u)
	}
	if s, exists, watched := w.pool.GetNamed(tenant, ref); exists || watched || s != (observe.State{}) {
		t.Errorf("the tenant must learn nothing, got %v, %v, %+v", exists, watched, s)
	}
	if _, exists, watched := w.pool.GetNamed(kube.Identity{}, ref); !exists || !watched {
		t.Error("those who may see it do")
	}
	w.grant("tenant")
	w.eventually("the tenant's own rights count", func() bool { return len(named()) == 0 })
	if s, exists, watched := w.pool.GetNamed(tenant, ref); !exists || !watched || s.Health.State != observe.Healthy {
		t.Errorf("the tenant may see it now, got %v, %v, %+v", exists, watched, s)
	}
	label := w.applyConfigMap("by-label", "1")
	if _, exists, watched := w.pool.GetNamed(kube.Identity{}, label); exists || watched {
		t.Error("what a wider watch shows was not asked for by name")
	}
}

func TestWatchesOfOthersDontCount(t *testing.T) {
	w := newWorld(t, func(env *labtest.Env) *rest.Config { return env.User("agent-without-rights") })
	ref := w.applyConfigMap("a", "1")
	able := kube.Identity{Namespace: w.env.Namespace, ServiceAccount: "able"}
	unable := kube.Identity{Namespace: w.env.Namespace, ServiceAccount: "unable"}
	w.grant("able")
	w.eventually("one owner's watch runs", func() bool { return len(w.ensure("one", able, ref)) == 0 })
	if u := w.ensure("two", unable, ref); len(u) != 1 || u[0] != ref {
		t.Errorf("the other's watch may end at any time: want it named, got %v", u)
	}
	w.ensure("three", able, ref)
	w.ensure("one", able)
	if u := w.ensure("three", able, ref); len(u) != 0 {
		t.Errorf("a watch that is shared is held by each: got %v", u)
	}
	if _, exists, watched := w.pool.Get(ref); !exists || !watched {
		t.Error("what is watched for its owner is known")
	}
}

func TestKindThatGoesAndComes(t *testing.T) {
	w := newWorld(t, nil)
	group := w.env.Namespace + ".dev"
	crd := kube.Ref{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition", Name: "boats." + group}
	boat := kube.Ref{Group: group, Version: "v1", Kind: "Boat", Namespace: w.env.Namespace, Name: "a"}
	if u := w.ensure("shop", kube.Identity{}, boat); len(u) != 1 {
		t.Errorf("the kind isn't there: want it named, got %v", u)
	}
	define := func() {
		w.apply(crd, `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"boats.`+group+`"},"spec":{"group":"`+group+
			`","names":{"kind":"Boat","plural":"boats","singular":"boat","listKind":"BoatList"},"scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true,`+
			`"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`)
		w.eventually("the kind is served", func() bool {
			w.admin.Invalidate()
			_, err := w.admin.Mapping(boat.GroupKind(), "v1")
			return err == nil
		})
		w.eventually("the kind is watched", func() bool { return len(w.ensure("shop", kube.Identity{}, boat)) == 0 })
		w.apply(boat, `{"apiVersion":"`+group+`/v1","kind":"Boat","metadata":{"name":"a",`+owned+`}}`)
		w.eventually("the object is known", func() bool { _, exists, _ := w.pool.Get(boat); return exists })
	}
	define()
	w.delete(crd)
	w.eventually("the object went with its kind", func() bool { _, _, went := w.told(boat); return went == 1 })
	w.eventually("the pool says that the kind isn't watched", func() bool {
		p := w.pool.Watches()
		return len(p) == 1 && p[0].Err != nil
	})
	w.eventually("the definition is gone", func() bool { // else the next one would go with it
		_, err := w.admin.Get(t.Context(), kube.Identity{}, crd)
		return apierrors.IsNotFound(err)
	})
	define()
}

func TestEnsureEndsWithItsContext(t *testing.T) {
	w := newWorld(t, nil)
	w.line.drop(true, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.pool.Ensure(ctx, "shop", kube.Identity{}, []kube.Ref{w.configMap("a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
	w.line.mend()
}

func TestProgress(t *testing.T) {
	w := newWorld(t, nil)
	a := w.applyConfigMap("a", "1")
	if w.pool.Progress(a) != "" {
		t.Error("what isn't watched has not been seen")
	}
	w.ensure("shop", kube.Identity{}, a)
	was := w.pool.Progress(a)
	b := w.applyConfigMap("b", "1")
	w.eventually("the watch goes on", func() bool { _, exists, _ := w.pool.Get(b); return exists })
	if s, _, _ := w.pool.Get(b); !kube.Older(was, s.ResourceVersion) || kube.Older(w.pool.Progress(a), s.ResourceVersion) {
		t.Errorf("progress %s → %s, object %s", was, w.pool.Progress(a), s.ResourceVersion)
	}
}
