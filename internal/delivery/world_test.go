package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	labtest.Main(m)
}

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 90 * time.Second

// world is a namespace of a real API server, a Git server and an agent that takes care of the namespace.
type world struct {
	*labtest.Env
	testing.TB

	client   client.WithWatch
	git      *gitserver.Server
	repo     *gitserver.Repo
	requests *requests
	options  agent.Options
	stop     func()
}

func newWorld(t *testing.T, change ...func(*agent.Options)) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t)
	c := env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme, notificationv1.AddToScheme)
	server, repo := gittest.Start(t, "shop", gitserver.Options{})
	w := &world{
		Env: env, TB: t, client: c, git: server, repo: repo, requests: &requests{},
		options: agent.Options{DataDir: t.TempDir(), Namespaces: []string{env.Namespace}},
	}
	w.options.Kustomizations.AllowAgentIdentity = true
	for _, f := range change {
		f(&w.options)
	}
	w.startAgent()
	return w
}

// startAgent runs an agent until stop is called or the test ends.
func (w *world) startAgent() {
	w.Helper()
	cfg := rest.CopyConfig(w.Config)
	cfg.Wrap(w.requests.count)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	opts := w.options
	go func() { done <- agent.Run(ctx, cfg, opts) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("agent: %v", err)
		}
	})
	w.Cleanup(w.stop)
}

// requests counts what an agent asks of the API server. Watches and the like, which stay open, don't count, nor does asking what the cluster
// serves: a definition of another test, on the same API server, is enough for that.
type requests struct {
	mu  sync.Mutex
	all []string
	// refuse, where it is set and says so, answers a request in the API server's place as one that has just gone away does.
	refuse func(*http.Request) bool
	// answer, where it is set and gives one, is the status code that a request is answered with in the API server's place.
	answer func(*http.Request) int
	// streams are the watches that are open.
	streams []io.Closer
}

func (r *requests) count(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		r.mu.Lock()
		refused := r.refuse != nil && r.refuse(req)
		code := 0
		if r.answer != nil {
			code = r.answer(req)
		}
		r.mu.Unlock()
		if code != 0 {
			return failure(req, code), nil
		}
		if refused {
			return nil, errors.New("connection refused by the test")
		}
		if req.URL.Query().Get("watch") != "" {
			return r.stream(next, req)
		}
		if path := req.URL.Path; path != "/api" && path != "/apis" && !strings.Contains(path, "/events") {
			r.mu.Lock()
			r.all = append(r.all, req.Method+" "+req.URL.Path)
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

// take returns what was asked since it was last called.
func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

func (w *world) commit(files map[string]string) string {
	w.Helper()
	sha, err := w.repo.Commit(w.Context(), files, "change")
	if err != nil {
		w.Fatal(err)
	}
	return "main@sha1:" + sha
}

func (w *world) remove(paths ...string) string {
	w.Helper()
	sha, err := w.repo.Remove(w.Context(), "remove", paths...)
	if err != nil {
		w.Fatal(err)
	}
	return "main@sha1:" + sha
}

// source creates a GitRepository of the world's repository. It is fetched on request only.
func (w *world) source(change ...func(*sourcev1.GitRepository)) *sourcev1.GitRepository {
	w.Helper()
	obj := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: w.Namespace},
		Spec: sourcev1.GitRepositorySpec{
			URL: w.repo.URL(), Interval: metav1.Duration{Duration: time.Hour}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}
	for _, f := range change {
		f(obj)
	}
	w.create(obj)
	return obj
}

func (w *world) kustomization(name string, change ...func(*kustomizev1.Kustomization)) *kustomizev1.Kustomization {
	w.Helper()
	obj := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, Path: "./", Prune: true, TargetNamespace: w.Namespace,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
		},
	}
	for _, f := range change {
		f(obj)
	}
	w.create(obj)
	return obj
}

func (w *world) create(obj client.Object) {
	w.Helper()
	if err := w.client.Create(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
}

// fetch asks the agent to fetch the source now and waits until it has.
func (w *world) fetch() {
	w.Helper()
	obj := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: w.Namespace}}
	token := w.request(obj)
	until(w, obj, "the fetch is done", func() bool { return obj.Status.LastHandledReconcileAt == token })
}

// request annotates obj as `flux reconcile` does.
func (w *world) request(obj client.Object) string {
	w.Helper()
	token := time.Now().Format(time.RFC3339Nano)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, token)
	if err := w.client.Patch(w.Context(), obj, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		w.Fatal(err)
	}
	return token
}

// update changes obj as a person would, whatever its resource version.
func update[T client.Object](w *world, obj T, change func(T)) {
	w.Helper()
	before := obj.DeepCopyObject().(client.Object)
	change(obj)
	if err := w.client.Patch(w.Context(), obj, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

// until watches obj until holds.
func until(w *world, obj client.Object, what string, holds func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	key := client.ObjectKeyFromObject(obj)
	for ctx.Err() == nil {
		if err := w.client.Get(ctx, key, obj); err == nil && holds() {
			return
		}
		if watchOnce(ctx, w, obj, holds) {
			return
		}
	}
	state, _ := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	w.Fatalf("%s/%s: waited %s until %s; it is %v", obj.GetNamespace(), obj.GetName(), patience, what, state["status"])
}

// watchOnce follows obj until holds, or until the watch ends.
func watchOnce(ctx context.Context, w *world, obj client.Object, holds func() bool) bool {
	w.Helper()
	kinds, _, err := w.client.Scheme().ObjectKinds(obj)
	if err != nil {
		kinds = append(kinds, obj.GetObjectKind().GroupVersionKind())
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kinds[0].GroupVersion().WithKind(kinds[0].Kind + "List"))
	events, err := w.client.Watch(ctx, list, client.InNamespace(obj.GetNamespace()), client.MatchingFields{"metadata.name": obj.GetName()})
	if err != nil {
		return false
	}
	defer events.Stop()
	for range events.ResultChan() {
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err == nil && holds() {
			return true
		}
	}
	return false
}

// poll asks again until holds. It is for what can't be watched as one object.
func (w *world) poll(what string, holds func() bool, seen any) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("waited %s for %s; seen: %v", patience, what, seen)
		}
	}
}

// gone waits until obj does not exist.
func (w *world) gone(obj client.Object) {
	w.Helper()
	w.poll("the end of "+obj.GetName(), func() bool {
		err := w.client.Get(w.Context(), client.ObjectKeyFromObject(obj), obj)
		return apierrors.IsNotFound(err)
	}, obj)
}

func ready(conditions []metav1.Condition) metav1.Condition {
	if c := apimeta.FindStatusCondition(conditions, meta.ReadyCondition); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// applied waits until obj is Ready at revision.
func (w *world) applied(obj *kustomizev1.Kustomization, revision string) {
	w.Helper()
	until(w, obj, "it is ready at "+revision, func() bool {
		return ready(obj.Status.Conditions).Status == metav1.ConditionTrue && obj.Status.LastAppliedRevision == revision &&
			obj.Status.ObservedGeneration == obj.Generation
	})
}

// refused waits until obj is not Ready for reason, and returns the message.
func (w *world) refused(obj *kustomizev1.Kustomization, reason string) string {
	w.Helper()
	until(w, obj, "it is refused with "+reason, func() bool {
		c := ready(obj.Status.Conditions)
		return c.Status == metav1.ConditionFalse && c.Reason == reason && c.ObservedGeneration == obj.Generation
	})
	return ready(obj.Status.Conditions).Message
}

func (w *world) configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}}
}

// configMapFile is the manifest of a ConfigMap with one value.
func configMapFile(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  value: %q\n", name, value)
}

// value waits until the ConfigMap has the value.
func (w *world) value(name, want string) {
	w.Helper()
	cm := w.configMap(name)
	until(w, cm, "its value is "+want, func() bool { return cm.Data["value"] == want })
}

func withServiceAccount(name string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.ServiceAccountName = name }
}

func in(path string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.Path = path }
}
