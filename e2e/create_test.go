package e2e_test

import (
	"testing"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// TestCreateDelivers: what `slipway create` makes is delivered, and a webhook wakes it.
func TestCreateDelivers(t *testing.T) {
	g := e2e.Given(t)
	g.GitOnly("shop", e2e.Files{"deploy/colour.yaml": configMap("colour", "is", "red")})
	repo, err := g.Git.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	g.Secret("hook", map[string]string{"token": "open-sesame"}).
		When().
		Slipway("create", "source", "git", "shop", "--url", repo.URL(), "--branch", "main", "--interval", "1h").
		Then().
		Prints("stored artifact for revision '"+g.Head("shop")).
		When().
		Slipway("create", "kustomization", "shop", "--source", "shop", "--path", "./deploy", "--prune", "--wait", "--interval", "1h", "--target-namespace", g.Namespace).
		Then().
		Prints("Applied revision: "+g.Head("shop")).
		Has("configmap/colour", e2e.Data("is", "red")).
		When().
		Slipway("create", "receiver", "hook", "--type", "generic", "--secret-ref", "hook", "--resource", "GitRepository/shop").
		Push("shop", gitserver.Change{Message: "blue", Files: e2e.Files{"deploy/colour.yaml": configMap("colour", "is", "blue")}}).
		Flux("trigger", "receiver", "hook", "--token", "open-sesame", "--url", g.Agent.Webhooks).
		Then().
		Has("configmap/colour", e2e.Data("is", "blue")).
		// The flux CLI changes what we have made, and we say so.
		When().
		Flux("create", "kustomization", "shop", "--source", "GitRepository/shop", "--path", "./deploy", "--prune", "--interval", "2h", "--target-namespace", g.Namespace).
		Slipway("create", "kustomization", "shop", "--source", "shop", "--path", "./deploy", "--prune", "--interval", "1h", "--target-namespace", g.Namespace, "--force-conflicts").
		Then().
		Has("kustomization/shop", e2e.Field("1h0m0s", "spec", "interval"))
}
