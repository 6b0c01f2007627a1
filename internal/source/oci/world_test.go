package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// The media types that Flux pushes.
const (
	contentType = "application/vnd.cncf.flux.content.v1.tar+gzip"
	configType  = "application/vnd.cncf.flux.config.v1+json"
)

// world is a registry and a client of it.
type world struct {
	*testing.T
	server *httptest.Server
	client *oci.Client
	store  *source.Store

	mu       sync.Mutex
	requests []string
	// intercept, where it is set and returns true, has answered in the registry's place.
	intercept func(http.ResponseWriter, *http.Request) bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.requests = append(w.requests, r.Method+" "+r.URL.Path)
		intercept := w.intercept
		w.mu.Unlock()
		if intercept == nil || !intercept(rw, r) {
			inner.ServeHTTP(rw, r)
		}
	})
	w.server = httptest.NewServer(handler)
	t.Cleanup(w.server.Close)
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.store, w.client = store, oci.NewClient(store)
	t.Cleanup(w.client.Close)
	return w
}

// take returns what the registry was asked since it was last called.
func (w *world) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.requests
	w.requests = nil
	return all
}

func (w *world) on(f func(http.ResponseWriter, *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.intercept = f
}

func (w *world) host() string { return strings.TrimPrefix(w.server.URL, "http://") }

func (w *world) tag(t string) name.Tag {
	w.Helper()
	tag, err := name.NewTag(w.host()+"/team/shop:"+t, name.Insecure)
	if err != nil {
		w.Fatal(err)
	}
	return tag
}

// push pushes an artifact with one layer and returns its digest.
func (w *world) push(tag string, layer []byte, change ...func(v1.Image) v1.Image) string {
	w.Helper()
	return w.pushAs(tag, contentType, layer, change...)
}

func (w *world) pushAs(tag, mediaType string, layer []byte, change ...func(v1.Image) v1.Image) string {
	w.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), configType)
	img, err := mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(layer, types.MediaType(mediaType))})
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range change {
		img = f(img)
	}
	if err := remote.Write(w.tag(tag), img); err != nil {
		w.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		w.Fatal(err)
	}
	return digest.String()
}

// request asks for the world's repository as an OCIRepository with insecure would.
func (w *world) request(change ...func(*oci.Request)) oci.Request {
	r := oci.Request{URL: "oci://" + w.host() + "/team/shop", Insecure: true}
	for _, f := range change {
		f(&r)
	}
	return r
}

func (w *world) fetch(change ...func(*oci.Request)) *oci.Result {
	w.Helper()
	r, err := w.client.Fetch(w.Context(), w.request(change...))
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// refused fetches what must not work, and returns the error.
func (w *world) refused(reason string, change ...func(*oci.Request)) *source.Error {
	w.Helper()
	return w.refusedIn(w.T, reason, change...)
}

// refusedIn is refused for a part of a test.
func (w *world) refusedIn(t *testing.T, reason string, change ...func(*oci.Request)) *source.Error {
	t.Helper()
	r, err := w.client.Fetch(t.Context(), w.request(change...))
	if err == nil {
		t.Fatalf("fetched %s, want an error with the reason %s", r.Snapshot.Revision(), reason)
	}
	var typed *source.Error
	if !errors.As(err, &typed) {
		t.Fatalf("%v is a %T, want a *source.Error", err, err)
	}
	if typed.Reason != reason {
		t.Fatalf("reason %s, want %s: %v", typed.Reason, reason, err)
	}
	return typed
}

// files reads a tree.
func files(t *testing.T, snap *source.Snapshot) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(snap.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(snap.FS(), p)
		out[p] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// layer is the tar.gz of some files.
func layer(t *testing.T, content map[string]string) []byte {
	t.Helper()
	var entries []tar.Header
	var bodies []string
	for _, p := range slices.Sorted(maps.Keys(content)) {
		entries = append(entries, tar.Header{Typeflag: tar.TypeReg, Name: p, Mode: 0o644, Size: int64(len(content[p]))})
		bodies = append(bodies, content[p])
	}
	return archive(t, entries, bodies)
}

// archive is the tar.gz of entries, whatever they are.
func archive(t *testing.T, entries []tar.Header, bodies []string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	a := tar.NewWriter(z)
	for i := range entries {
		if err := a.WriteHeader(&entries[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(a, bodies[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func annotated(annotations map[string]string) func(v1.Image) v1.Image {
	return func(img v1.Image) v1.Image { return mutate.Annotations(img, annotations).(v1.Image) }
}

func emptyArtifact() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), configType)
}

func emptyIndex() v1.ImageIndex { return mutate.IndexMediaType(empty.Index, types.OCIImageIndex) }
