package e2e_test

import (
	"testing"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// The stock flux CLI knows nothing of Slipway: it works on what the objects in
// the cluster say.

func TestFluxGet(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Flux("get", "sources", "git").
		Then().
		Prints("shop", g.Head("shop")[:len("main@sha1:")+8], "False", "True", "stored artifact for revision").
		When().
		Flux("get", "kustomizations").
		Then().
		Prints("shop", g.Head("shop")[:len("main@sha1:")+8], "False", "True", "Applied revision: main@sha1:").
		When().
		Flux("get", "all").
		Then().
		Prints("gitrepository/shop", "kustomization/shop")
}

func TestFluxReconcile(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Push("shop", gitserver.Change{Message: "blue", Files: e2e.Files{"colour.yaml": configMap("colour", "is", "blue")}}).
		Flux("reconcile", "kustomization", "shop", "--with-source").
		Then().
		Prints("fetched revision "+g.Head("shop"), "applied revision "+g.Head("shop")).
		Has("configmap/colour", e2e.Data("is", "blue")).
		When().
		Flux("reconcile", "source", "git", "shop").
		Then().
		Prints("fetched revision " + g.Head("shop"))
}

func TestFluxTreeTraceEvents(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red"), "web.yaml": deployment}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Flux("tree", "kustomization", "shop").
		Then().
		Prints("Kustomization/"+g.Namespace+"/shop", "ConfigMap/"+g.Namespace+"/colour", "Deployment/"+g.Namespace+"/web").
		When().
		Flux("trace", "configmap", "colour").
		Then().
		Prints("ConfigMap/colour", "Managed by Flux", "Kustomization:   shop", "GitRepository:   shop", g.Head("shop")).
		When().
		Flux("events", "--for", "Kustomization/shop").
		Then().
		Prints("ReconciliationSucceeded", "ConfigMap/"+g.Namespace+"/colour created").
		When().
		Flux("events", "--for", "GitRepository/shop").
		Then().
		Prints("NewArtifact", "stored artifact")
}

func TestFluxSuspendResume(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Flux("suspend", "kustomization", "shop").
		Then().
		Prints("kustomization suspended").
		Has("kustomization/shop", e2e.Field(true, "spec", "suspend")).
		When().
		Flux("suspend", "source", "git", "shop").
		Push("shop", gitserver.Change{Message: "blue", Files: e2e.Files{"colour.yaml": configMap("colour", "is", "blue")}}).
		Flux("resume", "source", "git", "shop").
		Then().
		Prints("fetched revision "+g.Head("shop")).
		Has("configmap/colour", e2e.Data("is", "red")).
		When().
		Flux("resume", "kustomization", "shop").
		Then().
		Prints("applied revision "+g.Head("shop")).
		Has("configmap/colour", e2e.Data("is", "blue"))
}

func TestFluxCreateAndDelete(t *testing.T) {
	g := e2e.Given(t)
	g.GitOnly("shop", e2e.Files{"deploy/colour.yaml": configMap("colour", "is", "red")})
	repo, err := g.Git.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	g.When().
		Flux("create", "source", "git", "shop", "--url", repo.URL(), "--branch", "main", "--interval", "1h").
		Then().
		Prints("fetched revision: "+g.Head("shop")).
		When().
		Flux("create", "kustomization", "shop", "--source", "GitRepository/shop", "--path", "./deploy", "--prune", "--wait",
			"--interval", "1h", "--target-namespace", g.Namespace).
		Then().
		Prints("applied revision "+g.Head("shop")).
		Has("configmap/colour", e2e.Data("is", "red")).
		When().
		Flux("delete", "kustomization", "shop", "--silent").
		Then().
		Gone("kustomization/shop", "configmap/colour")
}

func TestFluxSeesAFailure(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"bad.yaml": "not: [yaml"}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Failed("kustomization/shop", "BuildFailed").
		When().
		Flux("get", "kustomizations", "--status-selector", "ready=false").
		Then().
		Prints("shop", "False", "bad.yaml").
		When().
		Flux("events", "--for", "Kustomization/shop", "--types", "Warning").
		Then().
		Prints("BuildFailed", "bad.yaml")
}
