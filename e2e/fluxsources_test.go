package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/e2e"
)

// TestFluxOnEverySource: a Kustomization that the CLI makes is delivered from each kind of source that it may name.
func TestFluxOnEverySource(t *testing.T) {
	for _, k := range fluxKinds() {
		if k.many[0] != "sources" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			g := e2e.Given(t)
			flags := k.prepare(g)
			g.When().
				Flux(call("create", k.one, append([]string{"it"}, flags...)...)...).
				Flux("create", "kustomization", "shop", "--source", k.name+"/it", "--path", "./", "--prune", "--interval", "1h", "--target-namespace", g.Namespace).
				Then().
				Prints("applied revision ").
				Has("configmap/colour", e2e.Data("is", "red")).
				When().
				Flux("reconcile", "kustomization", "shop", "--with-source").
				Then().
				Prints(k.name+" annotated", k.reconciled, "Kustomization annotated", "applied revision ").
				When().
				Flux("tree", "kustomization", "shop").
				Then().
				Prints("Kustomization/"+g.Namespace+"/shop", "ConfigMap/"+g.Namespace+"/colour").
				When().
				Flux("trace", "configmap", "colour").
				Then().
				Prints("Managed by Flux", "Kustomization:   shop", "Applied revision: ")
			if k.name == sourcev1.BucketKind {
				g.Then().PrintsNot("Bucket:") // the CLI doesn't know of that one here
				return
			}
			g.Then().Prints(k.name+":", "stored artifact for revision")
		})
	}
}

// TestFluxOnExternalArtifacts: another controller writes them, and the CLI only looks.
func TestFluxOnExternalArtifacts(t *testing.T) {
	g := e2e.Given(t)
	folder, out := g.Folder(e2e.Files{"colour.yaml": configMap("colour", "is", "red")}), t.TempDir()
	g.When().
		Flux("build", "artifact", "--path", folder, "--output", filepath.Join(out, "shop.tgz")).
		Then().
		Prints("artifact created at")
	archive, err := os.ReadFile(filepath.Join(out, "shop.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	t.Cleanup(server.Close)

	made := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}
	made.Spec.SourceRef = &meta.NamespacedObjectKindReference{APIVersion: "example.com/v1", Kind: "Build", Name: "shop"}
	g.Object(made)
	status := client.MergeFrom(made.DeepCopy())
	made.Status.Artifact = &meta.Artifact{
		URL: server.URL + "/shop.tgz", Path: "shop.tgz", Revision: "v1@" + digestOf(archive), Digest: digestOf(archive), LastUpdateTime: metav1.Now(),
	}
	made.Status.Conditions = []metav1.Condition{{
		Type: meta.ReadyCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, Message: "built", LastTransitionTime: metav1.Now(),
	}}
	if err := g.Client.Status().Patch(t.Context(), made, status); err != nil {
		t.Fatal(err)
	}
	g.Kustomization("shop", inNamespace(g), func(k *kustomizev1.Kustomization) {
		k.Spec.SourceRef.Kind, k.Spec.SourceRef.Name = sourcev1.ExternalArtifactKind, "theirs"
	}).
		Then().
		Has("configmap/colour", e2e.Data("is", "red")).
		When().
		Flux("get", "sources", "external").
		Then().
		Prints("theirs", "v1@sha256:", "True", "built").
		When().
		Flux("get", "sources", "all").
		Then().
		Prints("externalartifact/theirs").
		When().
		Flux("get", "all", "-A", "--status-selector", "ready=true").
		Then().
		Prints(g.Namespace, "externalartifact/theirs").
		When().
		Flux("export", "source", "external", "theirs").
		Then().
		Prints("kind: ExternalArtifact", "kind: Build").
		PrintsNot("status:").
		When().
		Flux("export", "source", "external", "--all").
		Then().
		Prints("name: theirs").
		When().
		Flux("trace", "configmap", "colour").
		Then().
		Prints("ExternalArtifact:", "theirs", "v1@sha256:").
		When().
		Flux("reconcile", "kustomization", "shop").
		Then().
		Prints("applied revision v1@sha256:").
		// What the CLI itself can't do with the kind, whoever serves it.
		When().
		FluxFails("reconcile", "kustomization", "shop", "--with-source").
		Then().
		Prints("cannot reconcile source of kind ExternalArtifact").
		When().
		FluxFails("create", "kustomization", "other", "--source", "ExternalArtifact/theirs").
		Then().
		Prints("source kind 'ExternalArtifact' is not supported").
		When().
		FluxFails("events", "--for", "ExternalArtifact/theirs").
		Then().
		Prints("not a recognized Flux kind")
}

// TestFluxArtifacts: what the stock flux CLI pushes is delivered, and its other verbs work on what either has pushed.
func TestFluxArtifacts(t *testing.T) {
	g := e2e.Given(t)
	url := newRegistry(t) + "/team/shop"
	pushed, pulled := g.Folder(e2e.Files{"colour.yaml": configMap("colour", "is", "red")}), t.TempDir()
	g.When().
		Flux("push", "artifact", url+":latest", "--path", pushed, "--source", "https://git.example.com/shop", "--revision", "main@sha1:abc", "--insecure-registry").
		Flux("create", "source", "oci", "shop", "--url", url, "--tag", "latest", "--insecure", "--interval", "1h").
		Then().
		Prints("fetched revision: latest@sha256:")
	g.Kustomization("shop", inNamespace(g), func(k *kustomizev1.Kustomization) {
		k.Spec.SourceRef.Kind, k.Spec.SourceRef.Name = sourcev1.OCIRepositoryKind, "shop"
	}).
		Then().
		Has("configmap/colour", e2e.Data("is", "red")).
		Has("kustomization/shop", e2e.Field("main@sha1:abc", "status", "lastAppliedOriginRevision")).
		When().
		Flux("trace", "configmap", "colour").
		Then().
		Prints("OCIRepository:", "main@sha1:abc")

	changed := g.Folder(e2e.Files{"colour.yaml": configMap("colour", "is", "blue")})
	g.When().
		Flux("diff", "artifact", url+":latest", "--path", pushed, "--insecure-registry").
		Then().
		Prints("no changes detected").
		When().
		FluxFails("diff", "artifact", url+":latest", "--path", changed, "--insecure-registry").
		Then().
		Prints("differs from the local one")

	pushOurs(t, url+":ours", pushed, "main@sha1:def")
	g.When().
		// It compares the bytes of two archives, and ours is written in another way.
		FluxFails("diff", "artifact", url+":ours", "--path", pushed, "--insecure-registry").
		Then().
		Prints("differs from the local one").
		When().
		Flux("tag", "artifact", url+":ours", "--tag", "latest", "--tag", "1.2.0").
		Then().
		Prints("artifact tagged as").
		When().
		Flux("list", "artifacts", url, "--insecure-registry").
		Then().
		Prints(":ours", ":latest", ":1.2.0", "main@sha1:def").
		When().
		Flux("pull", "artifact", url+":ours", "--output", pulled, "--insecure-registry").
		Then().
		Prints("main@sha1:def").
		When().
		Flux("reconcile", "source", "oci", "shop").
		Then().
		Has("kustomization/shop", e2e.Field("main@sha1:def", "status", "lastAppliedOriginRevision"))
	if got, err := os.ReadFile(filepath.Join(pulled, "colour.yaml")); err != nil || string(got) != configMap("colour", "is", "red") {
		t.Errorf("flux pulled %q, %v", got, err)
	}
}
