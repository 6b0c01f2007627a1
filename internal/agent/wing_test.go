package agent_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// journal is who wrote what delivery writes, in the order in which they did.
type journal struct {
	mu      sync.Mutex
	writers []string
}

// of is the transport of one process: what it writes into a namespace is noted, but for leases and events, which all may write at any time.
func (j *journal) of(who, namespace string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
			path := req.URL.Path
			if req.Method != http.MethodGet && strings.Contains(path, "/namespaces/"+namespace+"/") && !strings.Contains(path, "/leases") && !strings.Contains(path, "/events") {
				j.mu.Lock()
				if len(j.writers) == 0 || j.writers[len(j.writers)-1] != who {
					j.writers = append(j.writers, who)
				}
				j.mu.Unlock()
			}
			return next.RoundTrip(req)
		})
	}
}

func (j *journal) turns() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.writers)
}

// TestDeliveryInAProcessOfItsOwn: a process that serves only delivery is let by the agent that served it, which takes it back when that one has
// ended. One of them writes at a time, and what is pushed is delivered by whoever it is.
func TestDeliveryInAProcessOfItsOwn(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml")
	ctrl.SetLogger(logr.Discard())
	c := env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme)
	_, repo := gittest.Start(t, "shop", gitserver.Options{})
	writes := &journal{}
	run := func(who, serve string) (stop func()) {
		cfg := rest.CopyConfig(env.Config)
		cfg.Wrap(writes.of(who, env.Namespace))
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		opts := agent.Options{
			DataDir: t.TempDir(), Namespaces: []string{env.Namespace}, LeaderElect: true, LeaseNamespace: env.Namespace, Serve: serve, TakeBack: 2 * time.Second,
		}
		opts.Kustomizations.AllowAgentIdentity = true
		go func() { ended <- agent.Run(ctx, cfg, opts) }()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%s ended with %v", who, err)
			}
		})
		t.Cleanup(stop)
		return stop
	}
	holder := func() string {
		lease, err := env.Clientset(t).CoordinationV1().Leases(env.Namespace).Get(t.Context(), duty.LeaseName("delivery"), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		if lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	name := metav1.ObjectMeta{Namespace: env.Namespace, Name: "shop"}
	push := func(version string) {
		t.Helper()
		manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, namespace: " + env.Namespace + "}\ndata: {version: " + version + "}\n"
		if _, err := repo.Commit(t.Context(), map[string]string{"shop.yaml": manifest}, version); err != nil {
			t.Fatal(err)
		}
		source := &sourcev1.GitRepository{ObjectMeta: name}
		hurry := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+meta.ReconcileRequestAnnotation+`":"`+version+`"}}}`))
		if err := c.Patch(t.Context(), source, hurry); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	delivered := func(version string) {
		t.Helper()
		shop := &corev1.ConfigMap{}
		await(t, func() bool {
			err := c.Get(t.Context(), client.ObjectKey{Namespace: env.Namespace, Name: "shop"}, shop)
			return err == nil && shop.Data["version"] == version
		}, func() string {
			return "the cluster has " + shop.Data["version"] + ", and delivery is served by " + holder()
		})
	}

	push("v1")
	for _, obj := range []client.Object{
		&sourcev1.GitRepository{ObjectMeta: name, Spec: sourcev1.GitRepositorySpec{
			URL: repo.URL(), Reference: &sourcev1.GitRepositoryRef{Branch: "main"}, Interval: metav1.Duration{Duration: time.Hour},
		}},
		&kustomizev1.Kustomization{ObjectMeta: name, Spec: kustomizev1.KustomizationSpec{
			Path: "./", Interval: metav1.Duration{Duration: time.Hour},
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
		}},
	} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // when nobody is left to do it: other tests remove the definitions
			ctx := context.WithoutCancel(t.Context())
			if err := c.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
				t.Error(err)
			}
			if err := c.Delete(ctx, obj); err != nil {
				t.Error(err)
			}
		})
	}
	run("agent", "")
	delivered("v1")
	if !duty.ByAgent(holder()) {
		t.Errorf("delivery is served by %q, and not by the agent", holder())
	}
	stop := run("delivery", "delivery")
	await(t, func() bool { h := holder(); return h != "" && !duty.ByAgent(h) }, func() string { return "delivery is served by " + holder() })
	push("v2")
	delivered("v2")
	stop()
	await(t, func() bool { return duty.ByAgent(holder()) }, func() string { return "delivery is served by " + holder() })
	push("v3")
	delivered("v3")
	if got, want := writes.turns(), []string{"agent", "delivery", "agent"}; !slices.Equal(got, want) {
		t.Errorf("the turns of who writes are %q, want %q", got, want)
	}
}

// TestAPartIsServedUnderConditions: a process that would serve a part without being able to tell the agent doesn't begin.
func TestAPartIsServedUnderConditions(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		opts   agent.Options
		says   string
	}{
		"Unknown":  {"there is no such part", agent.Options{Serve: "gateway", LeaderElect: true, LeaseNamespace: "x"}, `"gateway"`},
		"Election": {"the agent wouldn't know of it", agent.Options{Serve: "delivery", LeaseNamespace: "x"}, "leader election"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.opts.DataDir = t.TempDir()
			if err := agent.Run(t.Context(), &rest.Config{}, tc.opts); !errors.Is(err, agent.ErrPart) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}
