package pack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
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
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// server is a web server or a registry, which remembers what it was asked for.
type server struct {
	*httptest.Server

	mu       sync.Mutex
	requests []string
}

func serve(t *testing.T, inner http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

// asked returns what was asked for since it was last called.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.requests
	s.requests = nil
	return all
}

func newRegistry(t *testing.T) *server {
	t.Helper()
	return serve(t, registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
}

func fetcher(t *testing.T, opts ...pack.Option) *pack.Fetcher {
	t.Helper()
	f, err := pack.NewFetcher(t.TempDir(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// publish builds a package and pushes it under its version.
func publish(t *testing.T, s *server, repository string, files map[string]string, tag string) string {
	t.Helper()
	image, _, err := pack.Build(t.Context(), storeOf(t), tree(files))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := oci.Push(t.Context(), oci.Location{URL: "oci://" + s.host() + "/" + repository, Tag: tag}, nil, oci.Auth{}, true, image)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// packed is a tar.gz of files.
func packed(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pushLayer pushes an artifact of one layer, whatever it is.
func pushLayer(t *testing.T, s *server, reference, mediaType string, layer []byte) {
	t.Helper()
	tag, err := name.NewTag(s.host()+"/"+reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{Layer: static.NewLayer(layer, types.MediaType(mediaType))})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
}

func newSigner(t *testing.T) *cosign.Signer {
	t.Helper()
	signer, err := cosign.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
