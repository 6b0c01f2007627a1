package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/e2e"
)

func TestFluxBuildDiffDebug(t *testing.T) {
	g := e2e.Given(t)
	text := configMap("colour", "is", "${colour}")
	g.Repository("shop", e2e.Files{"colour.yaml": text}).
		Kustomization("shop", inNamespace(g), e2e.With(func(s *kustomizev1.KustomizationSpec) {
			s.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"colour": "red"}}
		})).
		Then().
		Ready("kustomization/shop")
	same := g.Folder(e2e.Files{"colour.yaml": text})
	changed := g.Folder(e2e.Files{"colour.yaml": strings.ReplaceAll(text, "${colour}", "blue")})
	file := filepath.Join(t.TempDir(), "shop.yaml")
	g.When().Flux("export", "kustomization", "shop")
	if err := os.WriteFile(file, []byte(g.Printed()), 0o600); err != nil {
		t.Fatal(err)
	}
	g.When().
		Flux("build", "kustomization", "shop", "--path", same).
		Then().
		Prints("kind: ConfigMap", "is: red", "namespace: "+g.Namespace, "kustomize.toolkit.fluxcd.io/name: shop").
		When().
		Flux("build", "kustomization", "shop", "--path", changed, "--kustomization-file", file, "--dry-run").
		Then().
		Prints("is: blue").
		When().
		Flux("diff", "kustomization", "shop", "--path", same, "--progress-bar=false").
		Then().
		PrintsNot("drifted", "created", "deleted").
		When().
		FluxFails("diff", "kustomization", "shop", "--path", changed, "--progress-bar=false").
		Then().
		Prints("ConfigMap/"+g.Namespace+"/colour drifted", "red", "blue").
		When().
		Flux("debug", "kustomization", "shop", "--show-vars").
		Then().
		Prints("colour=red").
		When().
		Flux("debug", "kustomization", "shop", "--show-status").
		Then().
		Prints("lastAppliedRevision: "+g.Head("shop"), "inventory:").
		When().
		Flux("debug", "kustomization", "shop", "--show-history").
		Then().
		Prints("ReconciliationSucceeded", "totalReconciliations: 1")
}

// TestFluxTree: Kustomizations and sources that a Kustomization brings are in its tree, with what they brought.
func TestFluxTree(t *testing.T) {
	g := e2e.Given(t)
	g.GitOnly("shop", e2e.Files{"deploy/colour.yaml": configMap("colour", "is", "red")})
	repo, err := g.Git.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	source := "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: shop}\n" +
		"spec: {interval: 1h, url: '" + repo.URL() + "', ref: {branch: main}}\n"
	inner := "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: shop}\n" +
		"spec: {interval: 1h, prune: true, path: ./deploy, targetNamespace: " + g.Namespace + ", sourceRef: {kind: GitRepository, name: shop}}\n"
	g.Repository("fleet", e2e.Files{"source.yaml": source, "shop.yaml": inner}).
		Kustomization("fleet", inNamespace(g)).
		Then().
		Has("configmap/colour", e2e.Data("is", "red")).
		When().
		Flux("reconcile", "kustomization", "shop").
		Flux("tree", "kustomization", "fleet").
		Then().
		Prints("Kustomization/"+g.Namespace+"/fleet", "GitRepository/"+g.Namespace+"/shop", "Kustomization/"+g.Namespace+"/shop", "ConfigMap/"+g.Namespace+"/colour").
		When().
		Flux("tree", "kustomization", "fleet", "--output", "json").
		Then().
		Prints(`"resources"`, `"colour"`)
}

// TestFluxOfFluxsOwnInstall: what the CLI asks of Flux's own Deployments, and does to what has Flux's label, passes Slipway by.
func TestFluxOfFluxsOwnInstall(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		When().
		Flux("check", "--pre").
		Then().
		Prints("prerequisites checks passed").
		When().
		Flux("version", "--client").
		Then().
		Prints("flux: v").
		When().
		FluxFails("check").
		Then().
		Prints("no controllers found").
		When().
		FluxFails("version").
		Then().
		Prints("no deployments found").
		When().
		FluxFails("logs", "--flux-namespace", g.Namespace).
		Then().
		Prints("no Flux pods found").
		// The agent and its kinds don't have Flux's label, so an uninstall would leave them; it would take the finalizers off.
		When().
		Flux("uninstall", "--dry-run", "--silent").
		Then().
		Prints("Kustomization/"+g.Namespace+"/shop finalizers deleted").
		PrintsNot("Deployment/", "CustomResourceDefinition/").
		Has("kustomization/shop")
}

// TestFluxWatches: the CLI's own watches see our objects; they go on until its time is up.
func TestFluxWatches(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		Then().
		Ready("gitrepository/shop").
		When().
		FluxFails("get", "sources", "git", "--watch", "--timeout", "1s").
		Then().
		Prints("shop", "stored artifact for revision")
}
