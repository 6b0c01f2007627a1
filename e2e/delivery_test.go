package e2e_test

import (
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// inNamespace makes a Kustomization apply to the story's namespace. Every
// story needs it: its manifests name no namespace.
func inNamespace(g *e2e.Givens) func(*kustomizev1.Kustomization) {
	return e2e.With(func(s *kustomizev1.KustomizationSpec) { s.TargetNamespace = g.Namespace })
}

func TestWhatIsInGitRuns(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("gitrepository/shop").
		Ready("kustomization/shop").
		Has("configmap/colour", e2e.Data("is", "red"),
			e2e.Label("kustomize.toolkit.fluxcd.io/name", "shop"),
			e2e.Label("kustomize.toolkit.fluxcd.io/namespace", g.Namespace)).
		When().
		Commit("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "blue"), "more/size.yaml": configMap("size", "is", "big")}).
		Then().
		Ready("kustomization/shop").
		Has("configmap/colour", e2e.Data("is", "blue")).
		Has("configmap/size", e2e.Data("is", "big"))
}

func TestAPushIsFoundWithoutBeingToldOfIt(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}, e2e.Every(time.Second)).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Push("shop", gitserver.Change{Message: "blue", Files: e2e.Files{"colour.yaml": configMap("colour", "is", "blue")}}).
		Then().
		Has("configmap/colour", e2e.Data("is", "blue")).
		Ready("kustomization/shop")
}

func TestACommitElsewhereMovesTheRevisionAndTouchesNothing(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"deploy/colour.yaml": configMap("colour", "is", "red"), "README.md": "hello"}).
		Kustomization("shop", inNamespace(g), e2e.Path("./deploy")).
		Then().
		Ready("kustomization/shop").
		Remember("configmap/colour").
		When().
		Commit("shop", e2e.Files{"README.md": "hello, world"}).
		Then().
		Ready("kustomization/shop").
		Untouched("configmap/colour")
}

func TestWhatLeavesGitIsPruned(t *testing.T) {
	g := e2e.Given(t)
	keep := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n"
	g.Repository("shop", e2e.Files{
		"a.yaml": configMap("a", "k", "v"), "b.yaml": configMap("b", "k", "v"), "kept.yaml": keep,
	}).
		ConfigMap("bystander", map[string]string{"k": "v"}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		Remember("configmap/a", "configmap/kept", "configmap/bystander").
		When().
		Remove("shop", "b.yaml", "kept.yaml").
		Then().
		Ready("kustomization/shop").
		Gone("configmap/b").
		Untouched("configmap/a", "configmap/bystander").
		Same("configmap/kept")
}

func TestWithoutPruneNothingIsDeleted(t *testing.T) {
	g := e2e.Given(t)
	noPrune := e2e.With(func(s *kustomizev1.KustomizationSpec) { s.Prune = false })
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v"), "b.yaml": configMap("b", "k", "v")}).
		Kustomization("shop", inNamespace(g), noPrune).
		Then().
		Ready("kustomization/shop").
		Remember("configmap/b").
		When().
		Remove("shop", "b.yaml").
		Then().
		Ready("kustomization/shop").
		Same("configmap/b")
}

func TestDeletingTheKustomizationDeletesWhatItMade(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		ConfigMap("bystander", nil).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		Remember("configmap/bystander").
		When().
		Delete("kustomization/shop").
		Then().
		Gone("kustomization/shop", "configmap/a").
		Untouched("configmap/bystander")
}

func TestSuspendedMeansLeftAlone(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a/a.yaml": configMap("a", "is", "red"), "b/b.yaml": configMap("b", "is", "red")}).
		Kustomization("a", inNamespace(g), e2e.Path("a")).
		Kustomization("b", inNamespace(g), e2e.Path("b")).
		Then().
		Ready("kustomization/a").
		Ready("kustomization/b").
		When().
		Suspend("kustomization/a").
		Commit("shop", e2e.Files{"a/a.yaml": configMap("a", "is", "blue"), "b/b.yaml": configMap("b", "is", "blue")}).
		Then().
		// b went on, so the commit has arrived: a had its chance.
		Ready("kustomization/b").
		Has("configmap/b", e2e.Data("is", "blue")).
		Has("configmap/a", e2e.Data("is", "red")).
		When().
		Resume("kustomization/a").
		Then().
		Ready("kustomization/a").
		Has("configmap/a", e2e.Data("is", "blue"))
}

func TestAnAnswerToEveryRequest(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Patch("kustomization/shop", `{"metadata":{"annotations":{"`+meta.ReconcileRequestAnnotation+`":"now-1"}}}`).
		Patch("gitrepository/shop", `{"metadata":{"annotations":{"`+meta.ReconcileRequestAnnotation+`":"now-2"}}}`).
		Then().
		Has("kustomization/shop", e2e.Field("now-1", "status", "lastHandledReconcileAt")).
		Has("gitrepository/shop", e2e.Field("now-2", "status", "lastHandledReconcileAt"))
}

func TestTargetNamespaceOverridesManifests(t *testing.T) {
	g := e2e.Given(t)
	other := g.Env.NewNamespace(t)
	elsewhere := e2e.With(func(s *kustomizev1.KustomizationSpec) { s.TargetNamespace = other })
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", elsewhere).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a/"+other, e2e.Data("k", "v"),
			e2e.Label("kustomize.toolkit.fluxcd.io/namespace", g.Namespace)).
		Absent("configmap/a")
}

func TestKustomizeOverlay(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{
		"base/kustomization.yaml":    kustomize("a.yaml"),
		"base/a.yaml":                configMap("a", "is", "base"),
		"overlay/kustomization.yaml": kustomize("../base") + "nameSuffix: -staging\ncommonAnnotations: {team: harbour}\n",
	}).
		Kustomization("shop", inNamespace(g), e2e.Path("./overlay")).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a-staging", e2e.Data("is", "base"), e2e.Field("harbour", "metadata", "annotations", "team")).
		When().
		Commit("shop", e2e.Files{"base/a.yaml": configMap("a", "is", "changed")}).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a-staging", e2e.Data("is", "changed"))
}
