package teach_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/teach"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// patience is how long a test waits for what must come. It is no measure of speed.
const patience = 90 * time.Second

// world is a real API server with the kind in it. group is the test's own: Interpreters have no namespace.
type world struct {
	*testing.T

	env    *labtest.Env
	client client.Client
	group  string
	// writes counts what teachers write to Interpreters.
	writes atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t, "slipway.dev_interpreters.yaml")
	return &world{T: t, env: env, client: env.Client(t, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme), group: env.Namespace + ".example.org"}
}

// options change the manager of a teacher.
type options func(*manager.Options)

// standby is a replica that never leads: somebody else holds the lease.
func (w *world) standby() options {
	return func(o *manager.Options) {
		o.LeaderElection, o.LeaderElectionID, o.LeaderElectionNamespace = true, "held", w.env.Namespace
	}
}

// teach runs a teacher until the test ends, and returns its registry.
func (w *world) teach(more ...options) *interpret.Registry {
	w.Helper()
	cfg := rest.CopyConfig(w.env.Config)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodGet && strings.Contains(req.URL.Path, "/interpreters/") {
				w.writes.Add(1)
			}
			return next.RoundTrip(req)
		})
	})
	opts := manager.Options{Scheme: w.client.Scheme(), Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: new(true)}}
	for _, change := range more {
		change(&opts)
	}
	mgr, err := ctrl.NewManager(cfg, opts)
	if err != nil {
		w.Fatal(err)
	}
	core, err := typedcorev1.NewForConfig(cfg)
	if err != nil {
		w.Fatal(err)
	}
	events := kube.NewRecorder(core, w.client.Scheme(), "slipway-agent")
	registry := interpret.NewRegistry()
	teacher := teach.New(registry, events)
	if err := errors.Join(teacher.Load(w.Context(), mgr.GetAPIReader()), teacher.Setup(mgr, mgr.GetCache()), mgr.Add(manager.RunnableFunc(events.Start))); err != nil {
		w.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	w.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.Error(err)
		}
	})
	return registry
}

// interpreter makes one for boats of the test's group that says a word of those that are afloat, with a test that wants a word.
func (w *world) interpreter(name, word, want string) *v1alpha1.Interpreter {
	w.Helper()
	object := `{"apiVersion":"` + w.group + `/v1","kind":"Boat","metadata":{"name":"a"},"status":{"afloat":true}}`
	obj := &v1alpha1.Interpreter{
		ObjectMeta: metav1.ObjectMeta{Name: name + "." + w.group},
		Spec: v1alpha1.InterpreterSpec{
			Target: v1alpha1.InterpreterTarget{Group: w.group, Kind: "Boat"},
			Health: []v1alpha1.HealthRule{{State: "Healthy", When: "self.status.afloat", Reason: word}, {State: "Degraded", Reason: "Sunk"}},
			Tests:  []v1alpha1.InterpreterTest{{Name: "afloat", Object: apiextensionsv1.JSON{Raw: []byte(object)}, Want: v1alpha1.InterpreterVerdict{Health: "Healthy", Reason: want}}},
		},
	}
	return obj
}

func (w *world) create(obj *v1alpha1.Interpreter) {
	w.Helper()
	if err := w.client.Create(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			w.Error(err)
		}
	})
}

// change edits an Interpreter.
func (w *world) change(obj *v1alpha1.Interpreter, edit func(*v1alpha1.InterpreterSpec)) {
	w.Helper()
	before := obj.DeepCopy()
	edit(&obj.Spec)
	if err := w.client.Patch(w.Context(), obj, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

// says waits until the status of an Interpreter has a reason and all parts of a message, for its generation.
func (w *world) says(obj *v1alpha1.Interpreter, status metav1.ConditionStatus, reason string, parts ...string) {
	w.Helper()
	w.until(func() (bool, any) {
		if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			w.Fatal(err)
		}
		ready := apimeta.FindStatusCondition(obj.Status.Conditions, v1alpha1.ReadyCondition)
		if ready == nil || ready.ObservedGeneration != obj.Generation || obj.Status.ObservedGeneration != obj.Generation || ready.Status != status || ready.Reason != reason {
			return false, obj.Status
		}
		for _, part := range parts {
			if !strings.Contains(ready.Message, part) {
				return false, ready.Message
			}
		}
		return apimeta.IsStatusConditionTrue(obj.Status.Conditions, v1alpha1.StalledCondition) == (status == metav1.ConditionFalse), obj.Status
	})
}

// reads waits until a boat is judged with a reason.
func (w *world) reads(registry *interpret.Registry, want string) {
	w.Helper()
	boat := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": w.group + "/v1", "kind": "Boat", "metadata": map[string]any{"name": "b"}, "status": map[string]any{"afloat": true},
	}}
	w.until(func() (bool, any) {
		got := registry.Assess(boat)
		return got.Reason == want, got
	})
}

// builtIn is the reason that what is built in has for a boat.
const builtIn = "Current"

func (w *world) until(holds func() (bool, any)) {
	w.Helper()
	var seen any
	err := wait.PollUntilContextTimeout(w.Context(), 20*time.Millisecond, patience, true, func(context.Context) (ok bool, _ error) {
		ok, seen = holds()
		return ok, nil
	})
	if err != nil {
		w.Fatalf("waited %s; at last: %+v", patience, seen)
	}
}

// told waits for an event about an Interpreter.
func (w *world) told(obj *v1alpha1.Interpreter, kind, reason, part string) {
	w.Helper()
	w.until(func() (bool, any) {
		var events corev1.EventList
		if err := w.client.List(w.Context(), &events, client.InNamespace(metav1.NamespaceDefault)); err != nil {
			w.Fatal(err)
		}
		for _, e := range events.Items {
			if e.InvolvedObject.UID == obj.UID && e.Type == kind && e.Reason == reason && strings.Contains(e.Message, part) {
				return true, nil
			}
		}
		return false, events.Items
	})
}
