package oci_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/lab/pki"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca, err := pki.Open(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	forServer, err := ca.Ensure("server", pki.Request{Name: "registry", Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	forClient, err := ca.Ensure("client", pki.Request{Name: "slipway"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(forServer.Cert, forServer.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	server := httptest.NewUnstartedServer(w.server.Config.Handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	w.push("latest", layer(t, map[string]string{"a": "1"}))
	url := "oci://" + strings.TrimPrefix(server.URL, "https://") + "/team/shop"
	secure := func(q *oci.Request) { q.URL, q.Insecure = url, false }
	trusting := map[string][]byte{"ca.crt": ca.PEM()}

	if err := w.refused(oci.ReasonPull, secure); !strings.Contains(err.Error(), "spec.certSecretRef") {
		t.Errorf("%q must say what to do", err)
	}
	w.fetch(secure, with(t, oci.Secrets{Cert: trusting}))
	w.fetch(secure, func(q *oci.Request) { q.Insecure = true }) // asked for, with no authority named

	w.on(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.TLS != nil && len(r.TLS.PeerCertificates) == 0 {
			rw.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	_ = w.refused(source.ReasonAuthenticationFailed, secure, with(t, oci.Secrets{Cert: trusting}))
	w.fetch(secure, with(t, oci.Secrets{Cert: map[string][]byte{"ca.crt": ca.PEM(), "tls.crt": forClient.Cert, "tls.key": forClient.Key}}))
}

func layerOperation(operation string) *sourcev1.OCILayerSelector {
	return &sourcev1.OCILayerSelector{Operation: operation}
}

func copyBody(w io.Writer, resp *http.Response) (int64, error) { return io.Copy(w, resp.Body) }
