package receiver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/slipway-dev/slipway/internal/delivery/receiver"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(funcr.New(said.write, funcr.Options{}))
	labtest.Main(m)
}

// said is what was logged in this test binary.
var said lines

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) write(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, prefix+" "+args)
}

func (l *lines) contain(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.all, "\n"), text)
}

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 90 * time.Second

// planted is the token of the world's Secret. It must not be seen anywhere.
const planted = "planted-token-3f1c"

// world is a namespace of a real API server, and the reconciler of Receivers with its HTTP server.
type world struct {
	*labtest.Env
	*testing.T

	client client.Client
	url    string
	own    ownSources
	// patches counts what the reconciler writes to other objects than its own.
	patches atomic.Int64
	// down makes the API server seem to be gone to those writes.
	down atomic.Bool
}

// ownSources stands for the sources that the agent serves itself.
type ownSources struct {
	mu    sync.Mutex
	kinds map[string]bool
	woken []string
}

func (o *ownSources) wake(_ context.Context, kind string, key types.NamespacedName) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.kinds[kind] {
		return false
	}
	o.woken = append(o.woken, kind+"/"+key.Name)
	return true
}

func (o *ownSources) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.woken
	o.woken = nil
	return all
}

func newWorld(t *testing.T, change ...func(*receiver.Options)) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t)
	w := &world{Env: env, T: t, client: env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme, apiv1.AddToScheme), own: ownSources{kinds: map[string]bool{}}}
	opts := receiver.Options{Wake: w.own.wake}
	for _, f := range change {
		f(&opts)
	}
	mgr, err := ctrl.NewManager(env.Config, ctrl.Options{
		Scheme: w.client.Scheme(), Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: new(true)},
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{env.Namespace: {}, env.Namespace + "-b": {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	counted := rest.CopyConfig(env.Config)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPatch {
				w.patches.Add(1)
				if w.down.Load() {
					return nil, errors.New("connection refused by the test")
				}
			}
			return next.RoundTrip(req)
		})
	})
	clients, err := kube.NewClients(counted)
	if err != nil {
		t.Fatal(err)
	}
	events := kube.NewRecorder(env.Clientset(t).CoreV1(), mgr.GetScheme(), "notification-controller")
	ctx, cancel := context.WithCancel(context.Background())
	r, err := receiver.Setup(ctx, mgr, clients, events, opts)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // the server closes it
	if err != nil {
		t.Fatal(err)
	}
	srv := receiver.Server(r)
	var all sync.WaitGroup
	all.Go(func() { _ = events.Start(ctx) })
	all.Go(func() { _ = srv.Serve(listener) })
	all.Go(func() {
		if err := mgr.Start(ctx); err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = srv.Close()
		all.Wait()
	})
	w.url = "http://" + listener.Addr().String()
	return w
}

func (w *world) create(objs ...client.Object) {
	w.Helper()
	for _, obj := range objs {
		obj.SetNamespace(w.Namespace)
		if err := w.client.Create(w.Context(), obj); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) update(obj client.Object, change func()) {
	w.Helper()
	before := obj.DeepCopyObject().(client.Object)
	change()
	if err := w.client.Patch(w.Context(), obj, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

// until asks again until holds.
func (w *world) until(obj client.Object, what string, holds func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		return w.client.Get(ctx, client.ObjectKeyFromObject(obj), obj) == nil && holds(), nil
	})
	if err != nil {
		w.Fatalf("%s: never so: %s; it is %+v", obj.GetName(), what, obj)
	}
}

func (w *world) secret(token string) *corev1.Secret {
	w.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hook"}, StringData: map[string]string{"token": token}}
	w.create(s)
	return s
}

// receiver creates a Receiver for the GitRepository shop, with the Secret hook.
func (w *world) receiver(kind string, change ...func(*apiv1.ReceiverSpec)) *apiv1.Receiver {
	w.Helper()
	obj := &apiv1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Name: "push"},
		Spec: apiv1.ReceiverSpec{
			Type: kind, SecretRef: &meta.LocalObjectReference{Name: "hook"}, Interval: &metav1.Duration{Duration: time.Hour},
			Resources: []apiv1.ReceiverResource{resource("GitRepository", "shop")},
		},
	}
	for _, f := range change {
		f(&obj.Spec)
	}
	w.create(obj)
	return obj
}

func resource(kind, name string, labels ...string) apiv1.ReceiverResource {
	r := apiv1.ReceiverResource{CrossNamespaceObjectReference: apiv1.CrossNamespaceObjectReference{Kind: kind, Name: name}}
	for i := 0; i+1 < len(labels); i += 2 {
		r.MatchLabels = map[string]string{labels[i]: labels[i+1]}
	}
	return r
}

// served waits until the Receiver is ready and returns its URL.
func (w *world) served(obj *apiv1.Receiver) string {
	w.Helper()
	w.until(obj, "it is ready", func() bool {
		return apimeta.IsStatusConditionTrue(obj.Status.Conditions, meta.ReadyCondition) && obj.Status.ObservedGeneration == obj.Generation
	})
	url := w.url + obj.Status.WebhookPath
	// The cache that answers is filled by a watch of its own.
	err := wait.PollUntilContextTimeout(w.Context(), 10*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		status, _ := w.send(http.MethodPost, url, nil, nil)
		return status != http.StatusNotFound && status != http.StatusServiceUnavailable, nil
	})
	if err != nil {
		w.Fatalf("the Receiver never answers: %v", err)
	}
	w.own.take()
	return url
}

// refused waits until the Receiver is not ready for a reason, and returns the message.
func (w *world) refused(obj *apiv1.Receiver, reason string) string {
	w.Helper()
	var ready *metav1.Condition
	w.until(obj, "it is not ready: "+reason, func() bool {
		ready = apimeta.FindStatusCondition(obj.Status.Conditions, meta.ReadyCondition)
		return ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == reason && obj.Status.ObservedGeneration == obj.Generation
	})
	return ready.Message
}

func (w *world) send(method, url string, header map[string]string, body []byte) (status int, answer string) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// post sends a webhook and wants this answer.
func (w *world) post(url string, header map[string]string, body string, want int) string {
	w.Helper()
	status, answer := w.send(http.MethodPost, url, header, []byte(body))
	if status != want {
		w.Fatalf("answered %d %q, want %d", status, answer, want)
	}
	return answer
}

func gitRepository(name string, labels map[string]string) *sourcev1.GitRepository {
	return &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec:       sourcev1.GitRepositorySpec{URL: "https://git.example.com/" + name, Interval: metav1.Duration{Duration: time.Hour}},
	}
}

func requested(obj client.Object) string {
	return obj.GetAnnotations()[meta.ReconcileRequestAnnotation]
}
