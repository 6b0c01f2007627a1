package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/slipway/internal/lab/pki"
)

func open(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	authority, err := pki.Open(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func ensure(t *testing.T, authority *pki.Authority, name string, request pki.Request) pki.Pair {
	t.Helper()
	pair, err := authority.Ensure(name, request)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestServerAndClientTrustEachOther(t *testing.T) {
	authority := open(t, t.TempDir())
	server := ensure(t, authority, "server", pki.Request{Name: "server", Hosts: []string{"127.0.0.1", "localhost"}})
	client := ensure(t, authority, "client", pki.Request{Name: "jane", Groups: []string{"crew"}})
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority.PEM())

	var who []string
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		who = append(subject.Organization, subject.CommonName)
	}))
	serverCert, err := tls.X509KeyPair(server.Cert, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	site.TLS = &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
	site.StartTLS()
	defer site.Close()

	clientCert, err := tls.X509KeyPair(client.Cert, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{clientCert}}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if len(who) != 2 || who[0] != "crew" || who[1] != "jane" {
		t.Errorf("the server saw %q, want group crew and user jane", who)
	}
}

func TestCertificatesAreKept(t *testing.T) {
	dir := t.TempDir()
	first := ensure(t, open(t, dir), "client", pki.Request{Name: "jane"})
	second := ensure(t, open(t, dir), "client", pki.Request{Name: "jane"})
	if string(first.Cert) != string(second.Cert) {
		t.Error("a second start made another certificate: kubeconfigs that were handed out don't work any more")
	}
	if one, two := open(t, dir).PEM(), open(t, dir).PEM(); string(one) != string(two) {
		t.Error("a second start made another authority")
	}
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	pair := ensure(t, open(t, t.TempDir()), "client", pki.Request{Name: "jane"})
	info, err := os.Stat(pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the key's mode is %o, want 600", mode)
	}
}

func TestDamagedCertificateIsAnError(t *testing.T) {
	dir := t.TempDir()
	pair := ensure(t, open(t, dir), "client", pki.Request{Name: "jane"})
	if err := os.WriteFile(pair.CertFile, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Ensure("client", pki.Request{Name: "jane"}); err == nil {
		t.Error("a damaged certificate was taken for a good one")
	}
}

func TestKubeconfigLeadsToTheServer(t *testing.T) {
	authority := open(t, t.TempDir())
	data, err := authority.Kubeconfig("lab", "https://10.0.0.1:6443", ensure(t, authority, "client", pki.Request{Name: "jane"}))
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://10.0.0.1:6443" || len(config.CertData) == 0 || string(config.CAData) != string(authority.PEM()) {
		t.Errorf("host %s, %d bytes of certificate, authority as expected: %t",
			config.Host, len(config.CertData), string(config.CAData) == string(authority.PEM()))
	}
}
