package aside_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
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

// world is a cluster with an agent, which Flux may work in too. Its tests must not run side by side: leases are the cluster's.
type world struct {
	*labtest.Env
	testing.TB
	client client.Client
	repo   *gitserver.Repo

	mu   sync.Mutex
	said []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := labtest.ControlPlane(t)
	env.Define(t)
	_, repo := gittest.Start(t, "shop", gitserver.Options{})
	return &world{Env: env, TB: t, client: env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme), repo: repo}
}

func (w *world) startAgent(change ...func(*agent.Options)) {
	w.Helper()
	opts := agent.Options{DataDir: w.TempDir(), Namespaces: []string{w.Namespace}, FluxNamespaces: []string{w.Namespace}, Log: funcr.New(func(_, args string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.said = append(w.said, args)
	}, funcr.Options{})}
	opts.Kustomizations.AllowAgentIdentity = true
	for _, f := range change {
		f(&opts)
	}
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

// deliver asks for a ConfigMap with a value.
func (w *world) deliver(value string, label map[string]string) {
	w.Helper()
	w.push(value)
	meta := metav1.ObjectMeta{Name: "shop", Namespace: w.Namespace, Labels: label}
	for _, obj := range []client.Object{
		&sourcev1.GitRepository{ObjectMeta: *meta.DeepCopy(), Spec: sourcev1.GitRepositorySpec{
			URL: w.repo.URL(), Interval: metav1.Duration{Duration: time.Second}, Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		}},
		&kustomizev1.Kustomization{ObjectMeta: *meta.DeepCopy(), Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, Prune: true, TargetNamespace: w.Namespace,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
		}},
	} {
		if err := w.client.Create(w.Context(), obj); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) push(value string) {
	w.Helper()
	_, err := w.repo.Commit(w.Context(), map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: \"" + value + "\"}\n"}, "change")
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) until(what string, holds func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 50*time.Millisecond, 90*time.Second, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.Fatalf("never came true: %s; the agent said %q", what, w.said)
	}
}

func (w *world) value() string {
	cm := &corev1.ConfigMap{}
	if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "a"}, cm); err != nil {
		if !apierrors.IsNotFound(err) {
			w.Error(err)
		}
		return ""
	}
	return cm.Data["value"]
}

func (w *world) hears(words string) {
	w.Helper()
	w.until("the agent says "+words, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, line := range w.said {
			if strings.Contains(line, words) {
				return true
			}
		}
		return false
	})
}

// flux has a controller of Flux's hold its Lease as it does while it works, for so long.
func (w *world) flux(controller string, lasts time.Duration) *coordinationv1.Lease {
	w.Helper()
	now, seconds, who := metav1.NowMicro(), int32(lasts.Seconds()), controller+"-pod"
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: controller + "-leader-election", Namespace: w.Namespace},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &who, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
	if err := w.client.Create(w.Context(), l); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.client.Delete(context.Background(), l) })
	return l
}

func (w *world) release(l *coordinationv1.Lease) {
	w.Helper()
	nobody := ""
	l.Spec.HolderIdentity = &nobody
	if err := w.client.Update(w.Context(), l); err != nil {
		w.Fatal(err)
	}
}

func TestStandsAsideWhileFluxWorks(t *testing.T) {
	w := newWorld(t)
	lease := w.flux("kustomize-controller", time.Hour)
	w.startAgent()
	w.hears("Standing aside")
	w.deliver("1", nil)
	var repo sourcev1.GitRepository
	w.hears(w.Namespace + "/kustomize-controller-leader-election")
	if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "shop"}, &repo); err != nil {
		t.Fatal(err)
	}
	if len(repo.Finalizers) > 0 || repo.Status.Artifact != nil || w.value() != "" {
		t.Errorf("the agent works although Flux does: %v", repo.Status)
	}
	w.release(lease)
	w.until("it is delivered once Flux has stopped", func() bool { return w.value() == "1" })

	w.flux("source-controller", time.Hour)
	w.until("it says that it stands aside again", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		n := 0
		for _, line := range w.said {
			if strings.Contains(line, "Standing aside") {
				n++
			}
		}
		return n >= 2
	})
}

func TestALeaseRunsOut(t *testing.T) {
	w := newWorld(t)
	w.flux("kustomize-controller", 2*time.Second) // its holder was killed
	w.startAgent()
	w.deliver("1", nil)
	w.until("it is delivered when the lease has run out", func() bool { return w.value() == "1" })
}

// TestATenantsLeaseStopsNobody has somebody with the role "edit" in a namespace of his own write a Lease with the name of Flux's, for ever.
func TestATenantsLeaseStopsNobody(t *testing.T) {
	w := newWorld(t)
	w.flux("kustomize-controller", math.MaxInt32*time.Second)
	w.startAgent(func(o *agent.Options) { o.FluxNamespaces = nil })
	w.deliver("1", nil)
	w.until("it is delivered nevertheless", func() bool { return w.value() == "1" })
	w.hears("--flux-namespace") // should Flux be there indeed
}

func TestASelectorSaysWhoseObjectsAre(t *testing.T) {
	w := newWorld(t)
	w.flux("kustomize-controller", time.Hour)
	mine := map[string]string{"engine": "slipway"}
	w.startAgent(func(o *agent.Options) { o.Selector = labels.SelectorFromSet(mine) })
	w.deliver("1", mine)
	w.until("what is labelled is delivered beside Flux", func() bool { return w.value() == "1" })
}
