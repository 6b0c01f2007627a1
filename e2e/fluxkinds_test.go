package e2e_test

import (
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/s3server"
)

// fluxKind is a kind of ours as the stock flux CLI has it.
type fluxKind struct {
	name string   // as in a manifest
	one  []string // what follows a verb, before the name
	many []string // what follows "get"
	// prepare makes what objects of the kind need, and returns what follows "create KIND NAME".
	prepare func(g *e2e.Givens) []string
	// created, reconciled and resumed are what the CLI prints at the end of waiting, got what "get" shows, event an event's reason.
	created, reconciled, got, event string
}

func fluxKinds() []fluxKind {
	return []fluxKind{
		{
			name: "GitRepository", one: []string{"source", "git"}, many: []string{"sources", "git"}, prepare: prepareGit,
			created: "fetched revision: main@sha1:", reconciled: "fetched revision main@sha1:", got: "stored artifact for revision", event: "NewArtifact",
		},
		{
			name: "OCIRepository", one: []string{"source", "oci"}, many: []string{"sources", "oci"}, prepare: prepareOCI,
			created: "fetched revision: latest@sha256:", reconciled: "fetched revision latest@sha256:", got: "stored artifact for revision", event: "NewArtifact",
		},
		{
			name: "Bucket", one: []string{"source", "bucket"}, many: []string{"sources", "bucket"}, prepare: prepareBucket,
			created: "fetched revision: sha256:", reconciled: "fetched revision sha256:", got: "stored artifact for revision", event: "NewArtifact",
		},
		{
			name: "Kustomization", one: []string{"kustomization"}, many: []string{"kustomizations"}, prepare: prepareKustomization,
			created: "applied revision main@sha1:", reconciled: "applied revision main@sha1:", got: "Applied revision: main@sha1:", event: "ReconciliationSucceeded",
		},
		{
			name: "Receiver", one: []string{"receiver"}, many: []string{"receivers"}, prepare: prepareReceiver,
			created: "generated webhook URL /hook/", reconciled: "Receiver reconciliation completed", got: "/hook/", event: "Succeeded",
		},
	}
}

func prepareGit(g *e2e.Givens) []string {
	g.GitOnly("shop", e2e.Files{"deploy/colour.yaml": configMap("colour", "is", "red")})
	repo, err := g.Git.Repo(g.T.Context(), "shop")
	if err != nil {
		g.T.Fatal(err)
	}
	return []string{"--url", repo.URL(), "--branch", "main", "--interval", "1h"}
}

func prepareOCI(g *e2e.Givens) []string {
	url := newRegistry(g.T) + "/team/shop"
	folder := g.Folder(e2e.Files{"colour.yaml": configMap("colour", "is", "red")})
	g.When().Flux("push", "artifact", url+":latest", "--path", folder, "--source", "https://git.example.com/shop", "--revision", "main@sha1:abc", "--insecure-registry")
	return []string{"--url", url, "--tag", "latest", "--insecure", "--interval", "1h"}
}

// newRegistry starts a registry without TLS, and returns it as oci://HOST:PORT.
func newRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return "oci://" + strings.TrimPrefix(server.URL, "http://")
}

func prepareBucket(g *e2e.Givens) []string {
	const bucket = "manifests"
	server := s3server.Start(bucket)
	g.T.Cleanup(server.Close)
	server.Put("colour.yaml", configMap("colour", "is", "red"))
	return []string{
		"--endpoint", server.Address(), "--bucket-name", bucket, "--insecure", "--interval", "1h", "--access-key", "robot", "--secret-key", "open-sesame",
	}
}

func prepareKustomization(g *e2e.Givens) []string {
	g.When().Flux(append([]string{"create", "source", "git", "shop"}, prepareGit(g)...)...)
	return []string{"--source", "GitRepository/shop", "--path", "./deploy", "--prune", "--wait", "--interval", "1h", "--target-namespace", g.Namespace}
}

func prepareReceiver(g *e2e.Givens) []string {
	g.When().
		Flux("create", "secret", "receiver", "hook", "--type", "generic", "--token", "open-sesame", "--hostname", "hooks.example.com").
		Flux(append([]string{"create", "source", "git", "shop"}, prepareGit(g)...)...)
	return []string{"--type", "generic", "--secret-ref", "hook", "--resource", "GitRepository/shop"}
}

// call is a command line: a verb, what a kind is called after it, and what follows.
func call(verb string, kind []string, rest ...string) []string {
	return slices.Concat([]string{verb}, kind, rest)
}

// TestFluxVerbsOfEveryKind: each verb that the CLI has for a kind works on an object of that kind, from its creation to its end.
func TestFluxVerbsOfEveryKind(t *testing.T) {
	for _, k := range fluxKinds() {
		t.Run(k.name, func(t *testing.T) {
			g := e2e.Given(t)
			flags := k.prepare(g)
			object := strings.ToLower(k.name) + "/it"
			g.When().
				Flux(call("create", k.one, append([]string{"it", "--export"}, flags...)...)...).
				Then().
				Prints("kind: "+k.name, "name: it", "namespace: "+g.Namespace).
				Absent(object).
				When().
				Flux(call("create", k.one, append([]string{"it", "--label", "team=shop"}, flags...)...)...).
				Then().
				Prints(k.created).
				Has(object, e2e.Label("team", "shop")).
				// Once more, to change it.
				When().
				Flux(call("create", k.one, append([]string{"it", "--label", "team=cart"}, flags...)...)...).
				Then().
				Prints(k.created).
				Has(object, e2e.Label("team", "cart"))
			looking(g, k)
			stopping(g, k, object)
			g.When().
				Flux(call("delete", k.one, "it", "--silent")...).
				Then().
				Prints("deleted").
				Gone(object).
				When().
				FluxFails(call("get", k.many, "it")...)
		})
	}
}

// looking calls the verbs that change nothing.
func looking(g *e2e.Givens, k fluxKind) {
	g.T.Helper()
	kindAndName := strings.ToLower(k.name) + "/it"
	all := []string{"get", "all"}
	if k.many[0] == "sources" {
		g.When().Flux("get", "sources", "all").Then().Prints(kindAndName, k.got)
	}
	g.When().
		Flux(call("get", k.many, "it")...).
		Then().
		Prints("it", "False", "True", k.got).
		When().
		Flux(call("get", k.many, "-A")...).
		Then().
		Prints("NAMESPACE", g.Namespace, k.got).
		When().
		Flux(call("get", k.many, "--label-selector", "team=cart", "--no-header")...).
		Then().
		Prints(k.got).
		PrintsNot("NAME").
		When().
		Flux(call("get", k.many, "--status-selector", "ready=true")...).
		Then().
		Prints(k.got).
		When().
		Flux(call("get", k.many, "--status-selector", "ready=false")...).
		Then().
		PrintsNot(k.got).
		When().
		Flux(all...).
		Then().
		Prints(kindAndName, k.got).
		PrintsNot("✗").
		When().
		Flux(append(all, "-A", "--status-selector", "ready=true")...).
		Then().
		Prints(g.Namespace, kindAndName).
		When().
		Flux(call("export", k.one, "it")...).
		Then().
		Prints("kind: "+k.name, "name: it", "team: cart").
		PrintsNot("status:", "uid:").
		When().
		Flux(call("export", k.one, "--all")...).
		Then().
		Prints("kind: "+k.name, "name: it").
		When().
		Flux("events", "--for", k.name+"/it").
		Then().
		Prints(k.event, k.name+"/it").
		When().
		Flux("events", "-A", "--types", "Normal").
		Then().
		Prints(g.Namespace, k.name+"/it").
		When().
		Flux("stats").
		Then().
		Prints(k.name)
}

// stopping calls those that reconcile an object, stop that, and go on.
func stopping(g *e2e.Givens, k fluxKind, object string) {
	g.T.Helper()
	g.When().
		Flux(call("reconcile", k.one, "it")...).
		Then().
		Prints(k.name+" annotated", k.reconciled).
		When().
		Flux(call("suspend", k.one, "it")...).
		Then().
		Prints("suspended").
		Has(object, e2e.Field(true, "spec", "suspend")).
		When().
		Flux(call("get", k.many, "it")...).
		Then().
		Prints("True", k.got).
		When().
		FluxFails(call("reconcile", k.one, "it")...).
		Then().
		Prints("resource is suspended").
		When().
		Flux(call("resume", k.one, "it")...).
		Then().
		Prints("resumed", k.reconciled).
		Has(object, e2e.Field(nil, "spec", "suspend")).
		When().
		Flux(call("suspend", k.one, "--all")...).
		Then().
		Has(object, e2e.Field(true, "spec", "suspend")).
		When().
		Flux(call("resume", k.one, "--all", "--wait")...).
		Then().
		Prints(k.reconciled).
		Has(object, e2e.Field(nil, "spec", "suspend"))
}
