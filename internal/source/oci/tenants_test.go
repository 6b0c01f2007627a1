package oci_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/lab/pki"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// TestOwnProxyShowsNothingOfOthers: a tenant's own proxy answers in the registry's place that the tenant may see a digest. It doesn't have
// the content, and the tenant must not get it from the store, where somebody else's OCIRepository has brought it.
func TestOwnProxyShowsNothingOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push("latest", layer(t, map[string]string{"a": "private"}))
	w.locked("robot", "right-password")
	login := with(t, oci.Secrets{Pull: []map[string][]byte{dockerConfig(w.host(), "robot", "right-password")}})
	pinned := ref(sourcev1.OCIRepositoryRef{Digest: digest})
	copied := func(q *oci.Request) { q.Layer = layerOperation(sourcev1.OCILayerCopy) }
	w.fetch(login)
	w.fetch(login, pinned)
	w.fetch(login, copied)

	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			rw.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			rw.Header().Set("Docker-Content-Digest", digest)
			rw.Header().Set("Content-Length", "100")
			return
		}
		if r.URL.Path != "/v2/" {
			rw.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(proxy.Close)
	own := with(t, oci.Secrets{Proxy: map[string][]byte{"address": []byte(proxy.URL)}})
	for name, change := range map[string]func(*oci.Request){"Tag": func(*oci.Request) {}, "Digest": pinned, "Copy": copied} {
		t.Run(name, func(t *testing.T) { _ = w.refusedIn(t, oci.ReasonPull, own, change) })
	}
}

// TestWhoSharesContent: content is shared between those who are sure to speak to the same registry.
func TestWhoSharesContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca, err := pki.Open(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	served, err := ca.Ensure("server", pki.Request{Name: "registry", Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(served.Cert, served.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.server.Config.Handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	digest := w.push("latest", layer(t, map[string]string{"a": "1"}))
	proxy := httptest.NewServer(http.HandlerFunc(tunnel))
	t.Cleanup(proxy.Close)
	trusted := map[string][]byte{"ca.crt": ca.PEM()}
	way := func(insecure bool, s oci.Secrets) func(*oci.Request) {
		auth := with(t, s)
		return func(q *oci.Request) {
			auth(q)
			q.URL, q.Insecure = "oci://"+strings.TrimPrefix(server.URL, "https://")+"/team/shop", insecure
		}
	}
	login := func(user string) []map[string][]byte {
		return []map[string][]byte{dockerConfig(strings.TrimPrefix(server.URL, "https://"), user, "password")}
	}
	w.fetch(way(false, oci.Secrets{Cert: trusted}))

	cases := map[string]struct {
		reason string
		how    func(*oci.Request)
		shares bool
	}{
		"Same":     {"the same authorities", way(false, oci.Secrets{Cert: trusted}), true},
		"Login":    {"another login, and the same way", way(false, oci.Secrets{Cert: trusted, Pull: login("robot")}), true},
		"Proxy":    {"a proxy of its own may answer in the registry's place", way(false, oci.Secrets{Cert: trusted, Proxy: map[string][]byte{"address": []byte(proxy.URL)}}), false},
		"CA":       {"other authorities may vouch for another server", way(false, oci.Secrets{Cert: map[string][]byte{"ca.crt": slices.Concat(ca.PEM(), []byte("\n"), ca.PEM())}}), false},
		"Insecure": {"anybody may answer where nobody vouches for the registry", way(true, oci.Secrets{}), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pulled := func() bool {
				return slices.ContainsFunc(w.take(), func(r string) bool { return strings.HasPrefix(r, "GET /v2/team/shop/manifests/") })
			}
			for nth, want := range []bool{!tc.shares, false} {
				w.take()
				got, err := w.client.Fetch(t.Context(), w.request(tc.how))
				if err != nil {
					t.Fatal(err)
				}
				if did := pulled(); did != want || got.Snapshot.Revision() != "latest@"+digest {
					t.Errorf("%s: fetch %d has %s, and pulled: %t, want %t", tc.reason, nth, got.Snapshot.Revision(), did, want)
				}
			}
		})
	}
}

// TestInsecureProvesNothing: that a digest was shown over a connection that nobody vouches for doesn't count where that is asked for.
func TestInsecureProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	digest := w.push("latest", layer(t, map[string]string{"a": "1"}))
	pinned := ref(sourcev1.OCIRepositoryRef{Digest: digest})
	w.fetch(pinned)
	_ = w.refused(oci.ReasonPull, pinned, func(q *oci.Request) { q.Insecure = false })
}

// tunnel is an honest proxy.
func tunnel(rw http.ResponseWriter, r *http.Request) {
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(there, here); _ = there.Close() })
	both.Go(func() { _, _ = io.Copy(here, there); _ = here.Close() })
	both.Wait()
}
