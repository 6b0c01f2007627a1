package e2e_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// TestFluxArtifacts: what the stock flux CLI pushes is delivered, its verbs work on an OCIRepository, and it reads what we push.
func TestFluxArtifacts(t *testing.T) {
	g := e2e.Given(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	url := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/team/shop"
	pushed, pulled := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(pushed, "colour.yaml"), []byte(configMap("colour", "is", "red")), 0o600); err != nil {
		t.Fatal(err)
	}
	fromOCI := func(k *kustomizev1.Kustomization) {
		k.Spec.SourceRef.Kind, k.Spec.SourceRef.Name = sourcev1.OCIRepositoryKind, "shop"
	}
	g.When().
		Flux("push", "artifact", url+":latest", "--path", pushed, "--source", "https://git.example.com/shop", "--revision", "main@sha1:abc", "--insecure-registry").
		Flux("create", "source", "oci", "shop", "--url", url, "--tag", "latest", "--insecure", "--interval", "1h").
		Then().
		Prints("fetched revision: latest@sha256:")
	g.Kustomization("shop", inNamespace(g), fromOCI).
		Then().
		Has("configmap/colour", e2e.Data("is", "red")).
		Has("kustomization/shop", e2e.Field("main@sha1:abc", "status", "lastAppliedOriginRevision")).
		When().
		Flux("reconcile", "source", "oci", "shop").
		Then().
		Prints("fetched revision latest@sha256:").
		When().
		Flux("get", "sources", "oci").
		Then().
		Prints("shop", "latest@sha256:", "True").
		When().
		Flux("trace", "configmap", "colour").
		Then().
		Prints("OCIRepository:", "main@sha1:abc")

	artifact, err := oci.Pack(oci.Contents{Files: os.DirFS(pushed), Revision: "main@sha1:def"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Push(t.Context(), oci.Location{URL: url, Tag: "ours"}, nil, oci.Auth{}, true, artifact); err != nil {
		t.Fatal(err)
	}
	g.When().
		Flux("pull", "artifact", url+":ours", "--output", pulled, "--insecure-registry").
		Then().
		Prints("main@sha1:def")
	if got, err := os.ReadFile(filepath.Join(pulled, "colour.yaml")); err != nil || string(got) != configMap("colour", "is", "red") {
		t.Errorf("flux pulled %q, %v", got, err)
	}
}
