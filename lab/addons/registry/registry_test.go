package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/slipway-dev/slipway/lab/addons/registry"
)

// serve starts a registry on dir and returns its host:port.
func serve(t *testing.T, dir string) string {
	t.Helper()
	handler, err := registry.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func reference(t *testing.T, host, repo string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(host + "/" + repo)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func image(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func push(t *testing.T, ref name.Reference, img v1.Image) string {
	t.Helper()
	if err := remote.Write(ref, img); err != nil {
		t.Fatalf("push %s: %v", ref, err)
	}
	return digestOf(t, img)
}

// pull fetches every byte of an image and returns its digest.
func pull(t *testing.T, ref name.Reference) string {
	t.Helper()
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatalf("pull %s: %v", ref, err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatalf("pull %s: %v", ref, err)
	}
	rebuilt, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatalf("pull the layers of %s: %v", ref, err)
	}
	digestOf(t, rebuilt)
	return digestOf(t, img)
}

func TestRestartKeepsImages(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir)
	old := push(t, reference(t, first, "docker.io/library/web:1"), image(t))
	latest := push(t, reference(t, first, "docker.io/library/web:1"), image(t)) // the tag moves on
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image(t)}, mutate.IndexAddendum{Add: image(t)})
	outer := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})
	if err := remote.WriteIndex(reference(t, first, "shop/many:1"), outer); err != nil {
		t.Fatal(err)
	}

	again := serve(t, dir)
	if got := pull(t, reference(t, again, "docker.io/library/web:1")); got != latest {
		t.Errorf("tag after the restart: got %s, want %s", got, latest)
	}
	if got := pull(t, reference(t, again, "docker.io/library/web@"+old)); got != old {
		t.Errorf("the manifest that lost its tag: got %s, want %s", got, old)
	}
	got, err := remote.Index(reference(t, again, "shop/many:1"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(digestOf(t, outer), digestOf(t, got)); diff != "" {
		t.Errorf("an index of an index after the restart (-want +got):\n%s", diff)
	}
	tags, err := remote.List(reference(t, again, "docker.io/library/web").Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1"}, tags); diff != "" {
		t.Errorf("tags after the restart (-want +got):\n%s", diff)
	}
}

func TestDeletedTagStaysDeleted(t *testing.T) {
	dir := t.TempDir()
	first := serve(t, dir)
	ref := reference(t, first, "shop/web:1")
	push(t, ref, image(t))
	if err := remote.Delete(ref); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{first, serve(t, dir)} {
		var failed *transport.Error
		if _, err := remote.Image(reference(t, host, "shop/web:1")); !errors.As(err, &failed) || failed.StatusCode != http.StatusNotFound {
			t.Errorf("pull of a deleted tag: got %v, want a 404", err)
		}
	}
}

func TestMirrorRequestsFindTheirHost(t *testing.T) {
	cases := map[string]struct {
		reason   string
		pushed   string // repository that was pushed to this registry
		repo, ns string // what containerd asks for
		want     int
	}{
		"OtherHost": {
			reason: "an image of any registry is served from that registry's own path",
			pushed: "ghcr.io/shop/web", repo: "shop/web", ns: "ghcr.io", want: http.StatusOK,
		},
		"Port": {
			reason: "a port is written with an underscore",
			pushed: "localhost_5001/shop/web", repo: "shop/web", ns: "localhost:5001", want: http.StatusOK,
		},
		"DockerHub": {
			reason: "Docker's registry has several names for one place",
			pushed: "docker.io/library/nginx", repo: "library/nginx", ns: "registry-1.docker.io", want: http.StatusOK,
		},
		"SameNameElsewhere": {
			reason: "images of the same name from two hosts never mix",
			pushed: "ghcr.io/shop/web", repo: "shop/web", ns: "quay.io", want: http.StatusNotFound,
		},
		"Direct": {
			reason: "without ns the path is the repository",
			pushed: "shop/web", repo: "shop/web", want: http.StatusOK,
		},
		"NotAHost": {
			reason: "ns can't lead out of a host's repositories",
			pushed: "ghcr.io/shop/web", repo: "web", ns: "ghcr.io/shop", want: http.StatusBadRequest,
		},
		"Traversal": {
			reason: "nor upwards",
			pushed: "ghcr.io/shop/web", repo: "web", ns: "..", want: http.StatusBadRequest,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			host := serve(t, t.TempDir())
			push(t, reference(t, host, tc.pushed+":1"), image(t))
			where := fmt.Sprintf("http://%s/v2/%s/manifests/1", host, tc.repo)
			if tc.ns != "" {
				where += "?ns=" + url.QueryEscape(tc.ns)
			}
			resp, err := http.Get(where)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("%s: GET %s: got %d, want %d", tc.reason, where, resp.StatusCode, tc.want)
			}
		})
	}
}

func TestCorruptUploadIsRefused(t *testing.T) {
	dir := t.TempDir()
	host := serve(t, dir)
	wrong := "sha256:" + strings.Repeat("0", 64)
	resp, err := http.Post("http://"+host+"/v2/shop/web/blobs/uploads/?digest="+wrong, "application/octet-stream", strings.NewReader("other bytes"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("upload with a wrong digest: got %d, want 400", resp.StatusCode)
	}
	err = filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("a refused upload left %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKilledUploadIsCleared(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "blobs", "uploads", "half")
	if err := os.MkdirAll(filepath.Dir(left), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	serve(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished upload of a killed process is still there: %v", err)
	}
}

func TestOversizedManifestIsRefused(t *testing.T) {
	host := serve(t, t.TempDir())
	req, err := http.NewRequest(http.MethodPut, "http://"+host+"/v2/shop/web/manifests/1", strings.NewReader(strings.Repeat(" ", 5<<20)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("manifest of 5 MiB: got %d, want 413", resp.StatusCode)
	}
}

func TestHost(t *testing.T) {
	cases := map[string]struct {
		reason string
		host   string
		want   string
		ok     bool
	}{
		"Plain":     {reason: "most hosts stay as they are", host: "registry.k8s.io", want: "registry.k8s.io", ok: true},
		"UpperCase": {reason: "host names have no case", host: "GHCR.io", want: "ghcr.io", ok: true},
		"Port":      {reason: "a colon may not stand in a repository", host: "localhost:5001", want: "localhost_5001", ok: true},
		"Address":   {reason: "an IPv4 address is a host", host: "10.0.0.1:5000", want: "10.0.0.1_5000", ok: true},
		"DockerHub": {reason: "one place, one name", host: "index.docker.io", want: "docker.io", ok: true},
		"IPv6":      {reason: "brackets may not stand in a repository", host: "[::1]:5000"},
		"Empty":     {reason: "nothing is no host"},
		"Path":      {reason: "a path is no host", host: "a/b"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := registry.Host(tc.host)
			if ok != tc.ok || (ok && got != tc.want) {
				t.Errorf("%s: Host(%q): got %q, %t; want %q, %t", tc.reason, tc.host, got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestServe(t *testing.T) {
	handler, err := registry.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := registry.Serve(ctx, handler, []string{"127.0.0.1:0", "127.0.0.1:0"}); err != nil {
		t.Errorf("a server that was told to stop: got %v, want no error", err)
	}
	taken := httptest.NewServer(handler)
	defer taken.Close()
	address := strings.TrimPrefix(taken.URL, "http://")
	if err := registry.Serve(t.Context(), handler, []string{"127.0.0.1:0", address}); err == nil {
		t.Error("an address that is taken: got no error")
	}
}
