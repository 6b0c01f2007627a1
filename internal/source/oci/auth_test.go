package oci_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// dockerConfig is a pull secret with one login.
func dockerConfig(address, user, password string) map[string][]byte {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return map[string][]byte{".dockerconfigjson": fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, address, auth)}
}

// locked has the registry ask for a login.
func (w *world) locked(user, password string) {
	w.on(func(rw http.ResponseWriter, r *http.Request) bool {
		u, p, ok := r.BasicAuth()
		if ok && u == user && p == password {
			return false
		}
		rw.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
}

func with(t *testing.T, s oci.Secrets) func(*oci.Request) {
	t.Helper()
	auth, err := oci.AuthFromSecrets(s)
	if err != nil {
		t.Fatal(err)
	}
	return func(q *oci.Request) { q.Auth = auth }
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("latest", layer(t, map[string]string{"a": "1"}))
	w.locked("robot", "right-password")
	host := w.host()
	cases := map[string]struct {
		reason string
		secret map[string][]byte
		want   string // the reason; empty if it works
	}{
		"Right":     {"the registry's login", dockerConfig(host, "robot", "right-password"), ""},
		"URL":       {"written as old clients do", dockerConfig("http://"+host+"/v1/", "robot", "right-password"), ""},
		"Path":      {"for this path", dockerConfig(host+"/team", "robot", "right-password"), ""},
		"OtherPath": {"for another path", dockerConfig(host+"/te", "robot", "right-password"), source.ReasonAuthenticationFailed},
		"Pattern":   {"for all such hosts", dockerConfig("*"+strings.TrimPrefix(host, "127"), "robot", "right-password"), ""},
		"Other":     {"for another registry", dockerConfig("ghcr.io", "robot", "right-password"), source.ReasonAuthenticationFailed},
		"Wrong":     {"a wrong password", dockerConfig(host, "robot", "wrong-password"), source.ReasonAuthenticationFailed},
		"Cfg":       {"the older type of Secret", map[string][]byte{".dockercfg": fmt.Appendf(nil, `{%q:{"username":"robot","password":"right-password"}}`, host)}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			login := with(t, oci.Secrets{Pull: []map[string][]byte{tc.secret}})
			if tc.want != "" {
				if err := w.refusedIn(t, tc.want, login); strings.Contains(err.Error(), "-password") {
					t.Errorf("the password is in %q", err)
				}
				return
			}
			if _, err := w.client.Fetch(t.Context(), w.request(login)); err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
	t.Run("NotForOthers", func(t *testing.T) {
		_ = w.refusedIn(t, source.ReasonAuthenticationFailed) // although it is in the store
	})
	t.Run("First", func(t *testing.T) {
		first := with(t, oci.Secrets{Pull: []map[string][]byte{dockerConfig(host, "robot", "right-password"), dockerConfig(host, "robot", "wrong-password")}})
		if _, err := w.client.Fetch(t.Context(), w.request(first)); err != nil {
			t.Errorf("spec.secretRef counts before the account's: %v", err)
		}
	})
}

func TestSecretsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		secrets oci.Secrets
		text    string
	}{
		"NoKey":      {"another type of Secret", oci.Secrets{Pull: []map[string][]byte{{"password": []byte("hunter2")}}}, ".dockerconfigjson"},
		"NoJSON":     {"no JSON", oci.Secrets{Pull: []map[string][]byte{{".dockerconfigjson": []byte("hunter2")}}}, "JSON"},
		"NoBase64":   {"no base64", oci.Secrets{Pull: []map[string][]byte{{".dockerconfigjson": []byte(`{"auths":{"a":{"auth":"hunter2!"}}}`)}}}, "base64"},
		"NoCert":     {"an empty Secret for certificates", oci.Secrets{Cert: map[string][]byte{"password": []byte("hunter2")}}, "ca.crt"},
		"BadCA":      {"no certificate", oci.Secrets{Cert: map[string][]byte{"ca.crt": []byte("hunter2")}}, "PEM"},
		"HalfPair":   {"a certificate without its key", oci.Secrets{Cert: map[string][]byte{"tls.crt": []byte("hunter2")}}, "set both"},
		"BadPair":    {"no key", oci.Secrets{Cert: map[string][]byte{"tls.crt": []byte("hunter2"), "tls.key": []byte("hunter2")}}, "PEM"},
		"NoProxy":    {"no address", oci.Secrets{Proxy: map[string][]byte{"password": []byte("hunter2")}}, "address"},
		"ProxyNoURL": {"no URL", oci.Secrets{Proxy: map[string][]byte{"address": []byte("hunter2:1")}}, "http://HOST:PORT"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := oci.AuthFromSecrets(tc.secrets)
			if err == nil || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: got %v, want something about %q without what is secret", tc.reason, err, tc.text)
			}
		})
	}
	auth, err := oci.AuthFromSecrets(oci.Secrets{Pull: []map[string][]byte{dockerConfig("a", "b", "hunter2")}})
	if text := fmt.Sprintf("%v %+v %#v", auth, auth, auth); err != nil || strings.Contains(text, "hunter2") {
		t.Errorf("prints as %s (%v)", text, err)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push("latest", layer(t, map[string]string{"a": "1"}))
	var through atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Proxy-Authorization"); got != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:hunter2")) || r.URL.Host != "registry.example.com" {
			rw.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		through.Add(1)
		r.URL.Host = w.host()
		r.RequestURI = ""
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			rw.Header()[k] = v
		}
		rw.WriteHeader(resp.StatusCode)
		_, _ = copyBody(rw, resp)
	}))
	t.Cleanup(proxy.Close)
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	secrets := oci.Secrets{Proxy: map[string][]byte{"address": []byte(address.String()), "username": []byte("me"), "password": []byte("hunter2")}}
	elsewhere := func(q *oci.Request) { q.URL = "oci://registry.example.com/team/shop" }
	w.fetch(with(t, secrets), elsewhere)
	if through.Load() == 0 {
		t.Error("nothing went through the proxy")
	}
	secrets.Proxy["password"] = []byte("hunter3")
	if err := w.refused(oci.ReasonPull, with(t, secrets), elsewhere); strings.Contains(err.Error(), "hunter") {
		t.Errorf("the proxy's password is in %q", err)
	}
}
