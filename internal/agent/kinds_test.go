package agent_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr/funcr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

const patience = 90 * time.Second

// uninstall makes the API server forget the definitions, whichever test has made it know them.
func uninstall(t *testing.T, env *labtest.Env, names ...string) {
	t.Helper()
	c := env.Client(t, apiextensionsv1.AddToScheme)
	for _, name := range names {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		await(t, func() bool { return apierrors.IsNotFound(c.Delete(t.Context(), crd)) }, func() string { return name + " is still there" })
	}
	// What is gone is listed for a moment more.
	found := env.Clientset(t).Discovery()
	listed := ""
	await(t, func() bool {
		_, lists, err := found.ServerGroupsAndResources()
		if err != nil {
			return false
		}
		listed = ""
		for _, l := range lists {
			for _, r := range l.APIResources {
				group, _, _ := strings.Cut(l.GroupVersion, "/")
				if slices.Contains(names, r.Name+"."+group) {
					listed = r.Name + "." + group
				}
			}
		}
		return listed == ""
	}, func() string { return listed + " is still listed" })
}

// words are what a logger was told.
type words struct {
	mu  sync.Mutex
	all []string
}

func (w *words) say(prefix, args string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, prefix+args)
}

func (w *words) have(parts ...string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.all {
		found := true
		for _, part := range parts {
			found = found && strings.Contains(line, part)
		}
		if found {
			return true
		}
	}
	return false
}

// TestKindsThatComeLater: an installation that lacks kinds of sources is served as far as it goes, and says so; what is added to it is
// served at once.
func TestKindsThatComeLater(t *testing.T) {
	env := labtest.ControlPlane(t)
	uninstall(t, env, "gitrepositories.source.toolkit.fluxcd.io", "kustomizations.kustomize.toolkit.fluxcd.io", "externalartifacts.source.toolkit.fluxcd.io")
	said := &words{}
	log := funcr.New(said.say, funcr.Options{})
	ctrl.SetLogger(log)
	opts := agent.Options{DataDir: t.TempDir(), Namespaces: []string{env.Namespace}, Log: log}
	opts.Kustomizations.AllowAgentIdentity = true

	if err := agent.Run(t.Context(), env.Config, opts); err == nil || !strings.Contains(err.Error(), "slipway install") {
		t.Fatalf("without the kinds that it can't do without it must end and say what to do: %v", err)
	}
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, env.Config, opts) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	c := env.Client(t, sourcev1.AddToScheme, kustomizev1.AddToScheme)
	ks := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: env.Namespace},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, Path: "./", Prune: true,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.ExternalArtifactKind, Name: "made"},
		},
	}
	if err := c.Create(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	says := func(parts ...string) {
		t.Helper()
		var message string
		await(t, func() bool {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(ks), ks); err != nil {
				t.Fatal(err)
			}
			ready := apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReadyCondition)
			if ready == nil {
				return false
			}
			message = ready.Message
			for _, part := range parts {
				if !strings.Contains(message, part) {
					return false
				}
			}
			return true
		}, func() string { return "the Kustomization says " + message })
	}
	says("ExternalArtifact", "slipway install")
	if !said.have("does not know the kind ExternalArtifact", "slipway install") {
		t.Error("the log must say which kind is not served")
	}

	env.Define(t, "source.toolkit.fluxcd.io_externalartifacts.yaml")
	says("not found", "made")
	made := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Name: "made", Namespace: env.Namespace}}
	if err := c.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	says("no artifact yet")
	made.Status.Artifact = &meta.Artifact{
		URL: "http://127.0.0.1:1/x.tar.gz", Path: "x.tar.gz", Revision: "v1", Digest: "sha256:" + strings.Repeat("0", 64), LastUpdateTime: metav1.Now(),
	}
	if err := c.Status().Update(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	says("can't be fetched", "refused")
}

// await asks again until holds.
func await(t *testing.T, holds func() bool, seen func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s; %s", patience, seen())
		}
	}
}
