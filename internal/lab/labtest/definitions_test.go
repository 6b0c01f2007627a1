package labtest_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// requests are those that a test's Env made.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		r.mu.Lock()
		r.all = append(r.all, req.Method+" "+req.URL.Path)
		r.mu.Unlock()
		return next.RoundTrip(req)
	})
}

// take returns the requests since it was last called that weren't questions what there is.
func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, line := range r.all {
		if path := strings.Fields(line)[1]; strings.Contains(path, "/customresourcedefinitions") {
			all = append(all, line)
		}
	}
	r.all = nil
	return all
}

func TestDefine(t *testing.T) {
	const list = "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	env := labtest.ControlPlane(t)
	seen := &requests{}
	env.Config.Wrap(seen.wrap)
	c := labtest.ControlPlane(t).Client(t, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme)

	// Tests that run at the same time.
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { env.Define(t, "slipway.dev_mod*s.yaml", "slipway.dev_modules.yaml") })
	}
	all.Wait()
	writes := 0
	for _, line := range seen.take() {
		if !strings.HasPrefix(line, "GET ") {
			writes++
		}
	}
	if writes != 3 {
		t.Errorf("defined with %d writes, want one for each of modules, modulerevisions and modulegrants", writes)
	}
	for _, l := range []client.ObjectList{&v1alpha1.ModuleList{}, &v1alpha1.ModuleRevisionList{}, &v1alpha1.ModuleGrantList{}} {
		if err := c.List(t.Context(), l); err != nil {
			t.Errorf("it doesn't serve %T: %v", l, err)
		}
	}
	if err := c.List(t.Context(), &v1alpha1.InterpreterList{}); !apimeta.IsNoMatchError(err) {
		t.Errorf("it serves what wasn't asked for: %v", err)
	}

	env.Define(t, "slipway.dev_modules.yaml")
	if got := seen.take(); len(got) != 1 || got[0] != list {
		t.Errorf("what is served already is asked for with %q, want one %s", got, list)
	}

	// A lab that is left running serves what was in the repository when it was last used.
	old := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "modules.slipway.dev"}}
	patch := `{"metadata":{"annotations":{"labtest.slipway.dev/made-of":"slipway.dev_modules.yaml@another"}},"spec":{"names":{"shortNames":["old"]}}}`
	if err := c.Patch(t.Context(), old, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	env.Define(t)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil || fmt.Sprint(old.Spec.Names.ShortNames) == "[old]" {
		t.Errorf("it still serves the old definition: %v, %v", old.Spec.Names, err)
	}
	if err := c.List(t.Context(), &v1alpha1.InterpreterList{}); err != nil {
		t.Errorf("without a pattern all are defined: %v", err)
	}
}

// failing is a test that takes note of why it ended.
type failing struct {
	testing.TB
	why string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.why = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestDefineNothing(t *testing.T) {
	env := labtest.ControlPlane(t)
	for _, pattern := range []string{"slipway.dev_boats.yaml", "crd/bases/slipway.dev_modules.yaml", "[", ""} {
		f := &failing{TB: t}
		var test sync.WaitGroup
		test.Go(func() { env.Define(f, "slipway.dev_*.yaml", pattern) })
		test.Wait()
		if !strings.Contains(f.why, fmt.Sprintf("%q", pattern)) {
			t.Errorf("%q: the test goes on, %q", pattern, f.why)
		}
	}
}

func TestClientKnowsItsKindsAndKubernetes(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := env.Client(t, v1alpha1.AddToScheme)
	if _, err := c.GroupVersionKindFor(&v1alpha1.Module{}); err != nil {
		t.Errorf("it doesn't know the kind that it was made for: %v", err)
	}
	if clientgoscheme.Scheme.Recognizes(v1alpha1.GroupVersion.WithKind(v1alpha1.ModuleKind)) {
		t.Error("everybody's scheme was changed")
	}
	watch, err := c.Watch(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(env.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: env.Namespace}}
	if err := c.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	for event := range watch.ResultChan() {
		if o, ok := event.Object.(*corev1.ConfigMap); ok && o.UID == made.UID {
			return
		}
	}
	t.Error("a watch doesn't see what is made")
}
