package source_test

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/slipway-dev/slipway/internal/source"
)

func proxyOf(t testing.TB, address, user, password string) source.Proxy {
	t.Helper()
	data := map[string][]byte{"address": []byte(address)}
	if user != "" {
		data["username"], data["password"] = []byte(user), []byte(password)
	}
	p, err := source.ProxyFromSecret(data)
	must(t, err)
	return p
}

func TestProxy(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commitFile("f", "x")
	plain := serve(t, r)
	secure := newServer(t, r)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	identity, key := newKey(t, "")
	sshd := serveSSH(t, r, key.PublicKey())
	const user, password = "mando", "gro/gu-secret"
	cases := map[string]struct {
		reason string
		scheme string // of the repository
		proxy  string
	}{
		"HTTPOverHTTP":   {reason: "an HTTP proxy forwards requests", scheme: "http", proxy: "http"},
		"HTTPSOverHTTP":  {reason: "an HTTP proxy tunnels TLS", scheme: "https", proxy: "http"},
		"HTTPSOverSOCKS": {reason: "SOCKS5 tunnels everything", scheme: "https", proxy: "socks5"},
		"HTTPOverSOCKS":  {reason: "SOCKS5 tunnels everything", scheme: "http", proxy: "socks5"},
		"SSHOverHTTP":    {reason: "an HTTP proxy tunnels SSH", scheme: "ssh", proxy: "http"},
		"SSHOverSOCKS":   {reason: "SOCKS5 tunnels everything", scheme: "ssh", proxy: "socks5"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, data := map[string]string{"http": plain.URL, "https": secure.URL, "ssh": "ssh://" + sshd.address()}[tc.scheme], map[string][]byte{}
			host, resolve := asName(at)
			url := tc.scheme + "://" + host + "/shop/.git"
			switch tc.scheme {
			case "https":
				data["ca.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
				url = strings.Replace(url, "git.test", "127.0.0.1", 1) // The certificate's name.
				_, port, _ := net.SplitHostPort(host)
				resolve = func(string) string { return "127.0.0.1:" + port }
			case "ssh":
				data["identity"], data["known_hosts"] = identity, []byte(knownhosts.Line([]string{host}, sshd.host.PublicKey()))
				url = "ssh://git@" + host + r.tree()
			}
			auth, err := source.AuthFromSecret(data, url)
			must(t, err)
			var address string
			var used func() int64
			if tc.proxy == "socks5" {
				s := serveSOCKS(t, user, password, resolve)
				address, used = "socks5://"+s.listener.Addr().String(), s.used.Load
			} else {
				s := serveProxy(t, user, password, resolve)
				address, used = s.URL, s.used.Load
			}
			g, _ := newGit(t)
			req := source.GitRequest{URL: url, Ref: branch("main"), Auth: auth, Proxy: proxyOf(t, address, user, password)}
			if got := read(t, fetch(t, g, req), "f"); got != "x" {
				t.Errorf("%s: f has %q", tc.reason, got)
			}
			if used() == 0 {
				t.Error("the proxy wasn't used")
			}
			for _, wrong := range []string{"", "wrong-" + password} {
				who := user
				if wrong == "" {
					who = ""
				}
				req.Proxy = proxyOf(t, address, who, wrong)
				err := fails(t, g, req)
				if reason(err) != source.ReasonAuthenticationFailed || !strings.Contains(err.Error(), "spec.proxySecretRef") || strings.Contains(err.Error(), password) {
					t.Errorf("with the password %q: %v", wrong, err)
				}
			}
			req.Proxy = proxyOf(t, "http://127.0.0.1:1", user, password)
			if err := fails(t, g, req); reason(err) != source.ReasonGitOperationFailed || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "gro%2Fgu") {
				t.Errorf("a proxy that isn't there: %v", err)
			}
		})
	}
}

// TestProxyIsolates: a proxy of somebody's own, which shows a commit that only the real server's users may see, gets nothing out of the store.
func TestProxyIsolates(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commitFile("secret.yaml", "secret")
	s := serve(t, r)
	host, resolve := asName(s.URL)
	g, _ := newGit(t)
	honest := serveProxy(t, "", "", resolve)
	req := source.GitRequest{URL: "http://" + host + "/shop/.git", Ref: branch("main"), Proxy: proxyOf(t, honest.URL, "", "")}
	fetch(t, g, req)
	liar := newServer(t, r)
	liar.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/info/refs") {
			return false // It knows the commit's name, and has nothing of it.
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	liar.Start()
	t.Cleanup(liar.Close)
	req.Proxy = proxyOf(t, serveProxy(t, "", "", func(string) string { return strings.TrimPrefix(liar.URL, "http://") }).URL, "", "")
	if err := fails(t, g, req); reason(err) != source.ReasonGitOperationFailed {
		t.Errorf("got %v", err)
	}
}

func TestProxyFromSecret(t *testing.T) {
	cases := map[string]struct {
		reason string
		data   map[string]string
		want   string // empty: refused
	}{
		"HTTP":      {reason: "an address", data: map[string]string{"address": "http://proxy.example.com:8080"}, want: "proxy: http://proxy.example.com:8080"},
		"SOCKS":     {reason: "with credentials, which aren't shown", data: map[string]string{"address": "socks5://proxy.example.com/", "username": "mando", "password": "hunter2hunter2"}, want: "proxy: socks5://proxy.example.com"},
		"Inline":    {reason: "credentials in the address aren't shown either", data: map[string]string{"address": "https://mando:hunter2hunter2@proxy.example.com"}, want: "proxy: https://proxy.example.com"},
		"None":      {reason: "no address", data: map[string]string{"username": "mando"}},
		"Scheme":    {reason: "another protocol", data: map[string]string{"address": "ftp://proxy.example.com"}},
		"NoScheme":  {reason: "no protocol", data: map[string]string{"address": "proxy.example.com:8080"}},
		"Path":      {reason: "a page, not a proxy", data: map[string]string{"address": "http://proxy.example.com/hunter2hunter2"}},
		"NoUser":    {reason: "a password alone", data: map[string]string{"address": "http://proxy.example.com", "password": "hunter2hunter2"}},
		"Malformed": {reason: "the parser's words would quote it", data: map[string]string{"address": "http://mando:hunter2hunter2@%zz"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range tc.data {
				data[k] = []byte(v)
			}
			p, err := source.ProxyFromSecret(data)
			shown := fmt.Sprintf("%v %s %#v %+v %v", p, p, p, p.LogValue(), err)
			if strings.Contains(shown, "hunter2") || strings.Contains(shown, "mando") {
				t.Errorf("%s: it shows %q", tc.reason, shown)
			}
			if tc.want == "" {
				if reason(err) != source.ReasonAuthenticationFailed {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			if err != nil || p.String() != tc.want {
				t.Errorf("%s: got %v, %v", tc.reason, p, err)
			}
		})
	}
}
