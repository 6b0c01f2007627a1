package oci_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

func ref(r sourcev1.OCIRepositoryRef) func(*oci.Request) {
	return func(q *oci.Request) { q.Ref = &r }
}

func TestTagIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.push("latest", layer(t, map[string]string{"a.yaml": "one", "deploy/b.yaml": "b"}), annotated(map[string]string{
		"org.opencontainers.image.revision": "main@sha1:abc", "org.opencontainers.image.source": "https://git.example.com/shop",
	}))
	got := w.fetch()
	if want := "latest@" + first; got.Snapshot.Revision() != want {
		t.Errorf("revision %s, want %s", got.Snapshot.Revision(), want)
	}
	if diff := cmp.Diff(map[string]string{"a.yaml": "one", "deploy/b.yaml": "b"}, files(t, got.Snapshot)); diff != "" {
		t.Error(diff)
	}
	if got.Metadata["org.opencontainers.image.revision"] != "main@sha1:abc" {
		t.Errorf("result %+v", got)
	}
	w.take()
	w.fetch()
	if got, want := w.take(), []string{"HEAD /v2/team/shop/manifests/latest"}; !slices.Equal(got, want) {
		t.Errorf("a fetch without news costs %v, want %v", got, want)
	}
	second := w.push("latest", layer(t, map[string]string{"a.yaml": "two"}))
	if got := w.fetch(); got.Snapshot.Revision() != "latest@"+second || files(t, got.Snapshot)["a.yaml"] != "two" || got.Metadata != nil {
		t.Errorf("after a push: %s %v", got.Snapshot.Revision(), got.Metadata)
	}
}

func TestRestartPullsNothingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("latest", layer(t, map[string]string{"a.yaml": "one"}))
	w.fetch()
	w.client = oci.NewClient(w.store)
	w.take()
	w.fetch()
	if got := w.take(); slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, "/blobs/") }) {
		t.Errorf("the layer is in the store, and was pulled again: %v", got)
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digests := map[string]string{}
	for _, tag := range []string{"latest", "v1.0.0", "1.2.0", "1.3.0-rc.1", "1.10.0", "2.0.0", "6.0.0-dev", "not-a-version", "3"} {
		digests[tag] = w.push(tag, layer(t, map[string]string{"tag": tag}))
	}
	cases := map[string]struct {
		reason string
		ref    sourcev1.OCIRepositoryRef
		want   string // the tag; empty where the digest is pinned
		digest string
	}{
		"Default":     {"nothing set means latest", sourcev1.OCIRepositoryRef{}, "latest", "latest"},
		"Tag":         {"a tag", sourcev1.OCIRepositoryRef{Tag: "1.2.0"}, "1.2.0", "1.2.0"},
		"Semver":      {"the highest by version, not by letters; no pre-release", sourcev1.OCIRepositoryRef{SemVer: "1.x"}, "1.10.0", "1.10.0"},
		"SemverFirst": {"a range counts more than a tag", sourcev1.OCIRepositoryRef{Tag: "latest", SemVer: "<1.1.0"}, "v1.0.0", "v1.0.0"},
		"Prerelease":  {"a range that names a pre-release has them", sourcev1.OCIRepositoryRef{SemVer: ">=1.3.0-0 <1.4.0"}, "1.3.0-rc.1", "1.3.0-rc.1"},
		"Filter":      {"only tags that match the filter count", sourcev1.OCIRepositoryRef{SemVer: ">=1.0.0-0", SemverFilter: ".*-dev.*"}, "6.0.0-dev", "6.0.0-dev"},
		"Digest":      {"a digest counts more than all else", sourcev1.OCIRepositoryRef{Tag: "latest", SemVer: "2.x", Digest: digests["1.2.0"]}, "", "1.2.0"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := digests[tc.digest]
			if tc.want != "" {
				want = tc.want + "@" + want
			}
			got, err := w.client.Fetch(t.Context(), w.request(ref(tc.ref)))
			if err != nil {
				t.Fatal(err)
			}
			if got.Snapshot.Revision() != want || files(t, got.Snapshot)["tag"] != tc.digest {
				t.Errorf("%s: revision %s, want %s", tc.reason, got.Snapshot.Revision(), want)
			}
		})
	}
	w.take()
	w.fetch(ref(sourcev1.OCIRepositoryRef{Digest: digests["1.2.0"]}))
	if got := w.take(); len(got) > 0 {
		t.Errorf("a pinned digest that is here costs %v, want nothing", got)
	}
}

func TestRefusedReferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("1.0.0", layer(t, map[string]string{"a": "1"}))
	cases := map[string]struct {
		reason string
		change func(*oci.Request)
		want   string
		text   string
	}{
		"NoTag":      {"latest was never pushed", func(*oci.Request) {}, oci.ReasonPull, "team/shop:latest"},
		"NoVersion":  {"nothing is in the range", ref(sourcev1.OCIRepositoryRef{SemVer: "2.x"}), oci.ReasonTags, "2.x"},
		"BadRange":   {"no range", ref(sourcev1.OCIRepositoryRef{SemVer: "two"}), source.ReasonReferenceInvalid, "spec.ref.semver"},
		"BadFilter":  {"no expression", ref(sourcev1.OCIRepositoryRef{SemVer: "1.x", SemverFilter: "("}), source.ReasonReferenceInvalid, "spec.ref.semverFilter"},
		"BadDigest":  {"no digest", ref(sourcev1.OCIRepositoryRef{Digest: "sha256:12"}), source.ReasonReferenceInvalid, "spec.ref.digest"},
		"BadTag":     {"no tag", ref(sourcev1.OCIRepositoryRef{Tag: "a b"}), source.ReasonReferenceInvalid, "spec.ref.tag"},
		"GoneDigest": {"a digest that isn't there", ref(sourcev1.OCIRepositoryRef{Digest: "sha256:" + strings.Repeat("a", 64)}), oci.ReasonPull, "aaaa"},
		"TagInURL":   {"a tag in the URL", func(q *oci.Request) { q.URL += ":1.0.0" }, source.ReasonURLInvalid, "spec.ref.tag"},
		"Password":   {"credentials in the URL", func(q *oci.Request) { q.URL = "oci://user:hunter2@example.com/shop" }, source.ReasonURLInvalid, "spec.secretRef"},
		"NoScheme":   {"another scheme", func(q *oci.Request) { q.URL = "https://example.com/shop" }, source.ReasonURLInvalid, "oci://"},
		"BadName":    {"a name that can't be", func(q *oci.Request) { q.URL = "oci://example.com/SHOP" }, source.ReasonURLInvalid, "lower case"},
		"Plain":      {"plain HTTP must be asked for", func(q *oci.Request) { q.Insecure = false }, oci.ReasonPull, "spec.insecure"},
		"NoServer":   {"nobody there", func(q *oci.Request) { q.URL = "oci://127.0.0.1:1/shop" }, oci.ReasonPull, "127.0.0.1:1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := w.refusedIn(t, tc.want, tc.change)
			if !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %q doesn't say %q", tc.reason, err, tc.text)
			}
		})
	}
}

func TestStatusesOfARegistry(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		status     int
		retryAfter string
		want       string
		after      time.Duration
	}{
		"Unauthorized": {"no login", http.StatusUnauthorized, "", source.ReasonAuthenticationFailed, 0},
		"Forbidden":    {"the login may not", http.StatusForbidden, "", source.ReasonAuthenticationFailed, 0},
		"NotFound":     {"not there", http.StatusNotFound, "", oci.ReasonPull, 0},
		"TooMany":      {"throttled, in seconds", http.StatusTooManyRequests, "120", oci.ReasonPull, 2 * time.Minute},
		"TooManyBare":  {"throttled, and no word for how long", http.StatusTooManyRequests, "", oci.ReasonPull, 30 * time.Second},
		"TooLong":      {"a registry can't put us to sleep for ever", http.StatusTooManyRequests, "99999999999", oci.ReasonPull, 15 * time.Minute},
		"Unavailable":  {"maintenance", http.StatusServiceUnavailable, "60", oci.ReasonPull, time.Minute},
		"Broken":       {"a fault of the registry", http.StatusInternalServerError, "", oci.ReasonPull, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.push("latest", layer(t, map[string]string{"a": "1"}))
			w.on(func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				if tc.retryAfter != "" {
					rw.Header().Set("Retry-After", tc.retryAfter)
				}
				rw.WriteHeader(tc.status)
				return true
			})
			err := w.refused(tc.want)
			if err.RetryAfter != tc.after {
				t.Errorf("%s: retry after %s, want %s", tc.reason, err.RetryAfter, tc.after)
			}
		})
	}
}

func TestHeadIsNotSpoken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push("latest", layer(t, map[string]string{"a": "1"}))
	w.on(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			rw.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodHead
	})
	if got := w.fetch().Snapshot.Revision(); got != "latest@"+digest {
		t.Errorf("revision %s, want that of %s", got, digest)
	}
}

func TestLayerSelector(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := layer(t, map[string]string{"second": "2", "picture.png": "p"})
	w.push("latest", layer(t, map[string]string{"first": "1"}), func(img v1.Image) v1.Image {
		img, err := mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(second, "application/x.second")})
		if err != nil {
			t.Fatal(err)
		}
		return img
	})
	byType := func(operation string) func(*oci.Request) {
		return func(q *oci.Request) {
			q.Layer = &sourcev1.OCILayerSelector{MediaType: "application/x.second", Operation: operation}
		}
	}
	if got := files(t, w.fetch().Snapshot); got["first"] != "1" {
		t.Errorf("without a selector: %v, want the first layer", got)
	}
	extracted := w.fetch(byType("extract"))
	if diff := cmp.Diff(map[string]string{"second": "2"}, files(t, extracted.Snapshot)); diff != "" {
		t.Error("extract leaves out what is ignored by default:", diff)
	}
	copied := w.fetch(byType("copy"))
	if diff := cmp.Diff(map[string]string{"second": "2", "picture.png": "p"}, files(t, copied.Snapshot)); diff != "" {
		t.Error("copy keeps all of it:", diff)
	}
	if copied.Snapshot.Size() != int64(len(second)) {
		t.Errorf("size %d, want the layer's %d", copied.Snapshot.Size(), len(second))
	}
	if got, ok := w.store.Get(copied.Snapshot.Digest()); !ok || got.Digest() != copied.Snapshot.Digest() {
		t.Error("the store must know the tree by the layer's digest")
	}
	served := httptest.NewRecorder()
	path := source.ArtifactPath("OCIRepository", "ns", "shop", copied.Snapshot.Digest())
	source.Handler(w.store).ServeHTTP(served, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+path, nil))
	if served.Code != http.StatusOK || served.Body.String() != string(second) {
		t.Errorf("served %d, %d bytes; want the layer as it is", served.Code, served.Body.Len())
	}
	if err := w.store.Retain(copied.Snapshot.Digest()); err != nil {
		t.Fatal(err)
	}
	w.take()
	if again := w.fetch(byType("copy")); again.Snapshot.Digest() != copied.Snapshot.Digest() || len(w.take()) != 1 {
		t.Error("a copied layer that is here is pulled again")
	}
	none := func(q *oci.Request) { q.Layer = &sourcev1.OCILayerSelector{MediaType: "application/x.third"} }
	if err := w.refused(oci.ReasonLayer, none); !strings.Contains(err.Error(), "application/x.second") {
		t.Errorf("%q must name the types that there are", err)
	}
}

func TestIgnoreRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("latest", layer(t, map[string]string{"a.yaml": "1", "b.yaml": "2", "sub/.sourceignore": "*.txt", "sub/c.txt": "3", "d.png": "4"}))
	rules := "b.yaml\n"
	got := w.fetch(func(q *oci.Request) { q.Ignore = &rules })
	if diff := cmp.Diff(map[string]string{"a.yaml": "1", "sub/.sourceignore": "*.txt", "d.png": "4"}, files(t, got.Snapshot)); diff != "" {
		t.Error(diff)
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img, err := mutate.Append(emptyArtifact(), mutate.Addendum{Layer: static.NewLayer(layer(t, map[string]string{"a": "amd64"}), contentType)})
	if err != nil {
		t.Fatal(err)
	}
	other, err := mutate.Append(emptyArtifact(), mutate.Addendum{Layer: static.NewLayer(layer(t, map[string]string{"a": "arm64"}), contentType)})
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(emptyIndex(),
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err := remote.WriteIndex(w.tag("latest"), index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	got := w.fetch()
	if got.Snapshot.Revision() != "latest@"+digest.String() || files(t, got.Snapshot)["a"] != "amd64" {
		t.Errorf("revision %s, files %v", got.Snapshot.Revision(), files(t, got.Snapshot))
	}
}
