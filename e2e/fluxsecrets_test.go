package e2e_test

import (
	"path/filepath"
	"testing"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// TestFluxTriggersAReceiver: the CLI's own webhook delivers a push.
func TestFluxTriggersAReceiver(t *testing.T) {
	const token = "open-sesame-5b1d"
	for _, kind := range []string{"generic", "generic-hmac"} {
		t.Run(kind, func(t *testing.T) {
			g := e2e.Given(t)
			g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
				Kustomization("shop", inNamespace(g)).
				Then().
				Ready("kustomization/shop").
				When().
				Flux("create", "secret", "receiver", "hook", "--type", kind, "--token", token, "--hostname", "hooks.example.com").
				Flux("create", "receiver", "hook", "--type", kind, "--secret-ref", "hook", "--resource", "GitRepository/shop").
				Push("shop", gitserver.Change{Message: "blue", Files: e2e.Files{"colour.yaml": configMap("colour", "is", "blue")}}).
				Flux("trigger", "receiver", "hook", "--type", kind, "--token", token, "--url", g.Agent.Webhooks).
				Then().
				Has("configmap/colour", e2e.Data("is", "blue")).
				Ready("kustomization/shop").
				When().
				FluxFails("trigger", "receiver", "hook", "--type", kind, "--token", "guess", "--url", g.Agent.Webhooks, "--retries", "0").
				Then().
				Prints("404").
				Says("receiver/hook", token, false)
		})
	}
}

// TestFluxSecrets: what the CLI writes into Secrets is read by what we serve.
func TestFluxSecrets(t *testing.T) {
	g := e2e.Given(t)
	const password = "open-sesame-e802"
	private, err := gitserver.Start(gitserver.Options{Dir: t.TempDir(), Username: "robot", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = private.Close() })
	repo, err := private.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(t.Context(), e2e.Files{"colour.yaml": configMap("colour", "is", "red")}, "first"); err != nil {
		t.Fatal(err)
	}
	files := g.Folder(e2e.Files{"ca.crt": "certificate", "app.pem": "key", "policy.json": `{"version": "1.0", "trustPolicies": [
		{"name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"}, "trustStores": ["ca:all"], "trustedIdentities": ["*"]}]}`})
	ca := filepath.Join(files, "ca.crt")
	g.When().
		Flux("create", "secret", "git", "login", "--url", repo.URL(), "--username", "robot", "--password", password).
		Flux("create", "source", "git", "shop", "--url", repo.URL(), "--branch", "main", "--secret-ref", "login").
		Then().
		Prints("fetched revision: main@sha1:").
		Says("gitrepository/shop", password, false).
		// The login may come with the source, too.
		When().
		Flux("create", "source", "git", "again", "--url", repo.URL(), "--branch", "main", "--username", "robot", "--password", password).
		Then().
		Prints("fetched revision: main@sha1:").
		Says("gitrepository/again", password, false).
		When().
		Flux("create", "secret", "oci", "it", "--url", "registry.example.com", "--username", "robot", "--password", password, "--export").
		Then().
		Prints("kubernetes.io/dockerconfigjson", ".dockerconfigjson:").
		When().
		Flux("create", "secret", "proxy", "it", "--address", "http://proxy.example.com:3128", "--username", "robot", "--password", password, "--export").
		Then().
		Prints("address:", "username:", "password:").
		When().
		Flux("create", "secret", "tls", "it", "--ca-crt-file", ca, "--export").
		Then().
		Prints("ca.crt:").
		When().
		Flux("create", "secret", "githubapp", "it", "--app-id", "1", "--app-installation-id", "2", "--app-private-key", filepath.Join(files, "app.pem"), "--export").
		Then().
		Prints("githubAppID:", "githubAppInstallationID:", "githubAppPrivateKey:").
		When().
		Flux("create", "secret", "notation", "it", "--trust-policy-file", filepath.Join(files, "policy.json"), "--ca-cert-file", ca, "--export").
		Then().
		Prints("trustpolicy.json:", "ca.crt:")
}

// TestFluxTenant: a tenant's account applies what the tenant's Kustomization brings.
func TestFluxTenant(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"colour.yaml": configMap("colour", "is", "red")}).
		When().
		Flux("create", "tenant", "shop", "--with-namespace", g.Namespace, "--skip-namespace").
		Flux("create", "kustomization", "shop", "--source", "GitRepository/shop", "--path", "./", "--service-account", "shop", "--target-namespace", g.Namespace).
		Then().
		Prints("applied revision "+g.Head("shop")).
		Has("configmap/colour", e2e.Data("is", "red"))
}
