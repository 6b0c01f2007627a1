package builtin_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/builtin"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	labtest.Main(m)
}

// world is a cluster that knows the kinds of slipway.dev.
type world struct {
	*testing.T
	env    *labtest.Env
	client client.Client // the test's own
	wrote  atomic.Int32  // by reconcilers

	mu   sync.Mutex
	told []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, env: labtest.ControlPlane(t)}
	w.env.Define(t, "slipway.dev_*.yaml")
	w.client = w.env.Client(t, v1alpha1.AddToScheme)
	return w
}

// parts are those of a reconciler whose writes are counted.
func (w *world) parts() builtin.Parts {
	cfg := rest.CopyConfig(w.env.Config)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodGet {
				w.wrote.Add(1)
			}
			return next.RoundTrip(req)
		})
	})
	c := labtest.Client(w, cfg, v1alpha1.AddToScheme)
	return builtin.Parts{Modules: c, Direct: c, Version: "1.2.3", Events: w}
}

func (w *world) writes() int { return int(w.wrote.Load()) }

// Event implements builtin.Events.
func (w *world) Event(_ client.Object, _ map[string]string, _ bool, reason, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, reason+": "+message)
}

func (w *world) tellings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// module makes a Module of a part of Slipway.
func (w *world) module(name string) *v1alpha1.Module {
	w.Helper()
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: name}}},
	}
	if err := w.client.Create(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.WithoutCancel(w.Context()), m) })
	return m
}

func (w *world) change(m *v1alpha1.Module, change func(*v1alpha1.Module)) *v1alpha1.Module {
	w.Helper()
	m = w.read(m)
	change(m)
	if err := w.client.Update(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) read(m *v1alpha1.Module) *v1alpha1.Module {
	w.Helper()
	out := &v1alpha1.Module{}
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(m), out); err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *world) there(m *v1alpha1.Module) bool {
	return w.client.Get(w.Context(), client.ObjectKeyFromObject(m), &v1alpha1.Module{}) == nil
}

func (w *world) reconcile(r *builtin.Reconciler, m *v1alpha1.Module) time.Duration {
	w.Helper()
	result, err := r.Reconcile(w.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(m)})
	if err != nil {
		w.Fatal(err)
	}
	return result.RequeueAfter
}
