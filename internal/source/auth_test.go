package source_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

const secret = "s3cr3t/päss word"

func TestHTTPCredentials(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:"+secret))
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		got := req.Header.Get("Authorization")
		switch got {
		case basic, "Bearer good-token":
			return false
		case "Bearer forbidden":
			http.Error(w, "no: "+got, http.StatusForbidden)
		default:
			http.Error(w, "you sent "+got, http.StatusUnauthorized)
		}
		return true
	})
	userinfo := strings.Replace(s.repoURL(), "http://", "http://ada:"+"s3cr3t%2Fp%C3%A4ss%20word@", 1)
	cases := map[string]struct {
		reason string
		url    string
		data   map[string][]byte
		fails  bool
	}{
		"basic":          {"username and password", s.repoURL(), map[string][]byte{"username": []byte("ada"), "password": []byte(secret)}, false},
		"token":          {"a bearer token", s.repoURL(), map[string][]byte{"bearerToken": []byte("good-token")}, false},
		"userinfo":       {"credentials in the URL", userinfo, nil, false},
		"secret wins":    {"the Secret goes before the URL", userinfo, map[string][]byte{"bearerToken": []byte("good-token")}, false},
		"none":           {"nothing at all", s.repoURL(), nil, true},
		"wrong password": {"a wrong password", s.repoURL(), map[string][]byte{"username": []byte("ada"), "password": []byte("hunter2")}, true},
		"short password": {"a password too short to be cut out of a text", s.repoURL(), map[string][]byte{"username": []byte("ada"), "password": []byte("xyz")}, true},
		"wrong token":    {"a token without rights", s.repoURL(), map[string][]byte{"bearerToken": []byte("forbidden")}, true},
		"wrong userinfo": {"wrong credentials in the URL", strings.Replace(s.repoURL(), "http://", "http://ada:hunter2@", 1), nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g, _ := newGit(t)
			_, err := g.Fetch(t.Context(), source.GitRequest{URL: tc.url, Ref: branch("main"), Auth: authFor(t, tc.url, tc.data)}, "")
			if !tc.fails {
				must(t, err)
				return
			}
			if reason(err) != source.ReasonAuthenticationFailed || !strings.Contains(err.Error(), "spec.secretRef") {
				t.Errorf("%s: %v", tc.reason, err)
			}
			for _, s := range []string{"hunter2", "xyz", "forbidden"} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("%s: the error tells the secret: %v", tc.reason, err)
				}
			}
		})
	}
}

// Nobody gets to see what only other credentials may see.
func TestCredentialsIsolate(t *testing.T) {
	r := newRepo(t)
	r.git("config", "uploadpack.allowReachableSHA1InWant", "false")
	r.commitFile("f", "public")
	r.git("checkout", "-q", "-b", "private")
	private := r.commitFile("f", "private")
	r.git("checkout", "-q", "main")
	s := serve(t, r)
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Header.Get("Authorization") == "Bearer insider" {
			return false
		}
		if req.Header.Get("Authorization") != "" {
			http.Error(w, "", http.StatusUnauthorized)
			return true
		}
		// Like a server with rights per branch: outsiders don't see this one.
		req.Header.Set("Git-Protocol", "version=0")
		return false
	})
	r.git("config", "transfer.hideRefs", "refs/none")
	g, _ := newGit(t)
	pinned := &sourcev1.GitRepositoryRef{Commit: private}
	insider := authFor(t, s.repoURL(), map[string][]byte{"bearerToken": []byte("insider")})
	if got := read(t, fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: pinned, Auth: insider}), "f"); got != "private" {
		t.Fatalf("content %q", got)
	}
	r.git("config", "transfer.hideRefs", "refs/heads/private")

	if err := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: pinned}); reason(err) != source.ReasonGitOperationFailed {
		t.Errorf("an outsider asks for the commit: %v", err)
	}
	if err := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("private")}); reason(err) != source.ReasonGitOperationFailed {
		t.Errorf("an outsider asks for the branch: %v", err)
	}
	wrong := authFor(t, s.repoURL(), map[string][]byte{"bearerToken": []byte("outsider")})
	if err := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: wrong}); reason(err) != source.ReasonAuthenticationFailed {
		t.Errorf("wrong credentials: %v", err)
	}
	if got := read(t, fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main")}), "f"); got != "public" {
		t.Errorf("content %q", got)
	}
}

// A redirect to somebody else doesn't take the credentials along.
func TestRedirectKeepsCredentialsAtHome(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	elsewhere := serve(t, r)
	var leaked atomic.Bool
	elsewhere.intercept(func(_ http.ResponseWriter, req *http.Request) bool {
		leaked.Store(leaked.Load() || req.Header.Get("Authorization") != "")
		return false
	})
	home := serve(t, r)
	home.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		http.Redirect(w, req, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)+req.URL.String(), http.StatusFound)
		return true
	})
	g, _ := newGit(t)
	a := authFor(t, home.repoURL(), map[string][]byte{"bearerToken": []byte("good-token")})
	_, err := g.Fetch(t.Context(), source.GitRequest{URL: home.repoURL(), Ref: branch("main"), Auth: a}, "")
	if err != nil && strings.Contains(err.Error(), "good-token") {
		t.Errorf("the error tells the token: %v", err)
	}
	if leaked.Load() {
		t.Error("the token went elsewhere")
	}
}

// certificate makes a key pair signed by parent, or by itself.
func certificate(t *testing.T, parent *tls.Certificate, template x509.Certificate) (tls.Certificate, []byte, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	signer, issuer := any(key), &template
	if parent != nil {
		signer, issuer = parent.PrivateKey, parent.Leaf
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer, key.Public(), signer)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	must(t, err)
	return pair, certPEM, keyPEM
}

func TestTLS(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := newServer(t, r)
	ca, caPEM, _ := certificate(t, nil, x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	_, certPEM, keyPEM := certificate(t, &ca, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	clients := x509.NewCertPool()
	clients.AddCert(ca.Leaf)
	s.TLS = &tls.Config{ClientCAs: clients, ClientAuth: tls.VerifyClientCertIfGiven}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if len(req.TLS.PeerCertificates) > 0 || req.Header.Get("Authorization") == "Bearer good-token" {
			return false
		}
		http.Error(w, "who are you", http.StatusUnauthorized)
		return true
	})
	server := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	cases := map[string]struct {
		reason string
		data   map[string][]byte
		want   string
		says   string
	}{
		"ca":        {"the server's CA and a token", map[string][]byte{"ca.crt": server, "bearerToken": []byte("good-token")}, "", ""},
		"legacy ca": {"the CA under its old name", map[string][]byte{"caFile": server, "bearerToken": []byte("good-token")}, "", ""},
		"mutual":    {"a client certificate", map[string][]byte{"ca.crt": server, "tls.crt": certPEM, "tls.key": keyPEM}, "", ""},
		"no ca":     {"a server that the system doesn't trust", map[string][]byte{"bearerToken": []byte("good-token")}, source.ReasonGitOperationFailed, "ca.crt"},
		"other ca":  {"a CA that didn't sign the server", map[string][]byte{"ca.crt": caPEM, "bearerToken": []byte("good-token")}, source.ReasonGitOperationFailed, "ca.crt"},
		"no client": {"the CA alone where more is needed", map[string][]byte{"ca.crt": server}, source.ReasonAuthenticationFailed, "without credentials"},
	}
	g, _ := newGit(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: authFor(t, s.repoURL(), tc.data)}, "")
			if tc.want == "" {
				must(t, err)
				return
			}
			if reason(err) != tc.want || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

func TestAuthFromSecretRefusals(t *testing.T) {
	identity, signer := newKey(t, "open sesame")
	hosts := []byte("example.com " + base64Key(signer.PublicKey().Type(), signer.PublicKey().Marshal()))
	_, certPEM, keyPEM := certificate(t, nil, x509.Certificate{})
	const https, sshURL = "https://example.com/a", "ssh://git@example.com/a"
	cases := map[string]struct {
		url  string
		data map[string][]byte
		says string
	}{
		"bad url":             {"::", nil, "URL"},
		"ssh, nothing":        {sshURL, nil, "identity"},
		"ssh, no hosts":       {sshURL, map[string][]byte{"identity": identity}, "known_hosts"},
		"ssh, bad hosts":      {sshURL, map[string][]byte{"identity": identity, "known_hosts": []byte("example.com rubbish")}, "known_hosts"},
		"ssh, comment only":   {sshURL, map[string][]byte{"identity": identity, "known_hosts": []byte("# nothing\n")}, "known_hosts"},
		"ssh, authority":      {sshURL, map[string][]byte{"identity": identity, "known_hosts": append([]byte("@cert-authority *."), hosts...)}, "@cert-authority"},
		"ssh, bad key":        {sshURL, map[string][]byte{"identity": []byte("hunter2"), "known_hosts": hosts}, "PEM"},
		"ssh, locked":         {sshURL, map[string][]byte{"identity": identity, "known_hosts": hosts}, "passphrase"},
		"ssh, wrong password": {sshURL, map[string][]byte{"identity": identity, "known_hosts": hosts, "password": []byte("hunter2")}, "passphrase"},
		"nothing useful":      {https, map[string][]byte{"identity": identity}, "bearerToken"},
		"username alone":      {https, map[string][]byte{"username": []byte("ada")}, "both"},
		"password alone":      {https, map[string][]byte{"password": []byte("hunter2")}, "both"},
		"basic and token":     {https, map[string][]byte{"username": []byte("ada"), "password": []byte("hunter2"), "bearerToken": []byte("t")}, "remove one"},
		"line break":          {https, map[string][]byte{"bearerToken": []byte("hunter2\n")}, "line break"},
		"bad ca":              {https, map[string][]byte{"ca.crt": []byte("hunter2")}, "ca.crt"},
		"key alone":           {https, map[string][]byte{"tls.key": keyPEM}, "both"},
		"other key":           {https, map[string][]byte{"tls.crt": certPEM, "tls.key": []byte("hunter2")}, "tls.key"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := source.AuthFromSecret(tc.data, tc.url)
			want := source.ReasonAuthenticationFailed
			if name == "bad url" {
				want = source.ReasonURLInvalid
			}
			if err == nil || reason(err) != want || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want something about %s", err, tc.says)
			}
		})
	}
}

func base64Key(kind string, key []byte) string {
	return kind + " " + base64.StdEncoding.EncodeToString(key)
}

func TestAuthPrintsNothing(t *testing.T) {
	identity, _ := newKey(t, "")
	_, signer := newKey(t, "")
	_, certPEM, keyPEM := certificate(t, nil, x509.Certificate{})
	for url, list := range map[string][]map[string][]byte{
		"https://example.com/a": {
			{"username": []byte("ada-the-user"), "password": []byte("hunter2")},
			{"bearerToken": []byte("hunter2")},
			{"tls.crt": certPEM, "tls.key": keyPEM},
			nil,
		},
		"ssh://example.com/a": {{"identity": identity, "known_hosts": []byte("example.com " + base64Key(signer.PublicKey().Type(), signer.PublicKey().Marshal()))}},
	} {
		for _, data := range list {
			var log strings.Builder
			a := authFor(t, url, data)
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "auth", a)
			for _, text := range []string{fmt.Sprint(a), fmt.Sprintf("%v %+v %#v", a, a, a), log.String()} {
				if strings.Contains(text, "hunter2") || strings.Contains(text, "ada-the-user") || !strings.Contains(text, "auth") {
					t.Errorf("printed as %s", text)
				}
			}
		}
	}
}

func TestSanitizeURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://ada:hunter2@Example.com/a/b":  "https://example.com/a/b",
		"https://token@example.com/a":          "https://example.com/a",
		"ssh://git@example.com:2222/a":         "ssh://git@example.com:2222/a",
		"https://ada:hunter2@exa mple.com/%zz": "(invalid URL)",
		"file:///srv/git":                      "file:///srv/git",
	} {
		if got := source.SanitizeURL(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
