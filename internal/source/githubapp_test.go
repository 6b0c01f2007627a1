package source_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
)

// githubAPI behaves like the two endpoints of GitHub's API that give tokens to apps. It checks what it is shown as GitHub documents it.
type githubAPI struct {
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	now    func() time.Time
	answer func(w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	issued map[string]time.Time // tokens, and when they expire
	made   int
}

func serveGitHubAPI(t *testing.T, now func() time.Time) *githubAPI {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	a := &githubAPI{t: t, key: key, now: now, issued: map[string]time.Time{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v3/app/installations/{id}/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "4711" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.made++
		token, expires := fmt.Sprintf("ghs_token-number-%d", a.made), now().Add(time.Hour).Truncate(time.Second)
		a.issued[token] = expires
		w.WriteHeader(http.StatusCreated)
		must(t, json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_at": expires.UTC().Format(time.RFC3339), "permissions": map[string]string{"contents": "read"}}))
	})
	mux.HandleFunc("GET /api/v3/{kind}/{owner}/installation", func(w http.ResponseWriter, r *http.Request) {
		if who := r.PathValue("kind") + "/" + r.PathValue("owner"); who != "orgs/team" && who != "users/ada" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		must(t, json.NewEncoder(w).Encode(map[string]any{"id": 4711}))
	})
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch wrong := a.check(r); {
		case a.answer != nil && a.answer(w, r):
		case wrong != "":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, wrong)
		default:
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// check says what is wrong with the JWT of a request.
func (a *githubAPI) check(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "no JWT"
	}
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		must(a.t, err)
		return b
	}
	var header struct{ Alg, Typ string }
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	must(a.t, json.Unmarshal(raw(parts[0]), &header))
	must(a.t, json.Unmarshal(raw(parts[1]), &claims))
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := a.now().Unix()
	switch {
	case header.Alg != "RS256":
		return "alg"
	case rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], raw(parts[2])) != nil:
		return "signature"
	case claims.Iss != "42":
		return "iss"
	case claims.Iat > now || claims.Exp <= now || claims.Exp-now > 600:
		return "time"
	}
	return ""
}

// guard lets only tokens that are good see the repository.
func (a *githubAPI) guard(s *server) {
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		user, token, _ := r.BasicAuth()
		a.mu.Lock()
		defer a.mu.Unlock()
		if user == "x-access-token" && a.issued[token].After(a.now()) {
			return false
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
}

func (a *githubAPI) secret() map[string][]byte {
	return map[string][]byte{
		"githubAppID": []byte("42"), "githubAppInstallationID": []byte("4711"), "githubAppBaseURL": []byte(a.URL + "/api/v3/"),
		"githubAppPrivateKey": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.key)}),
	}
}

// clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

func TestGitHubApp(t *testing.T) {
	t.Parallel()
	at := &clock{t: time.Now()}
	api := serveGitHubAPI(t, at.now)
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	api.guard(s)
	g, _ := newGit(t, source.GitClock(at.now))
	auth, err := source.AuthFromGitHubApp(api.secret(), s.repoURL())
	must(t, err)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: auth}
	steps := []struct {
		reason string
		before func()
		made   int
	}{
		{reason: "the first fetch gets a token", before: func() {}, made: 1},
		{reason: "the second one has it still", before: func() { at.pass(40 * time.Minute) }, made: 1},
		{reason: "shortly before it expires a new one is made", before: func() { at.pass(12 * time.Minute) }, made: 2},
		{reason: "a token that was taken back is replaced at once", before: func() { api.mu.Lock(); clear(api.issued); api.mu.Unlock() }, made: 3},
		{reason: "a clock that jumps ahead", before: func() { at.pass(24 * time.Hour) }, made: 4},
	}
	for _, step := range steps {
		step.before()
		fetch(t, g, req)
		if api.made != step.made {
			t.Errorf("%s: %d tokens were made, want %d", step.reason, api.made, step.made)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", auth, auth, auth); shown != "auth: GitHub App auth: GitHub App auth: GitHub App" {
		t.Errorf("it prints as %q", shown)
	}
}

func TestGitHubAppSecrets(t *testing.T) {
	t.Parallel()
	api := serveGitHubAPI(t, time.Now)
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	api.guard(s)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(api.key)
	must(t, err)
	cases := map[string]struct {
		reason string
		change func(map[string][]byte)
		want   string // the reason; empty: it works
		says   string
	}{
		"ByID": {reason: "an installation by its number", change: func(map[string][]byte) {}},
		"ByOrganization": {reason: "an installation by its owner", change: func(d map[string][]byte) {
			delete(d, "githubAppInstallationID")
			d["githubAppInstallationOwner"] = []byte("team")
		}},
		"ByUser": {reason: "an owner who is a person", change: func(d map[string][]byte) {
			delete(d, "githubAppInstallationID")
			d["githubAppInstallationOwner"] = []byte("ada")
		}},
		"PKCS8": {reason: "the other form of key", change: func(d map[string][]byte) {
			d["githubAppPrivateKey"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
		}},
		"NewLine": {reason: "numbers out of a file", change: func(d map[string][]byte) { d["githubAppID"] = []byte("42\n") }},
		"UnknownOwner": {reason: "an owner who hasn't installed it", change: func(d map[string][]byte) {
			delete(d, "githubAppInstallationID")
			d["githubAppInstallationOwner"] = []byte("../../../x")
		}, want: source.ReasonAuthenticationFailed, says: "isn't installed"},
		"UnknownNumber": {reason: "an installation that isn't there", change: func(d map[string][]byte) { d["githubAppInstallationID"] = []byte("1") }, want: source.ReasonAuthenticationFailed, says: "isn't installed"},
		"OtherKey": {reason: "the key of another app", change: func(d map[string][]byte) {
			d["githubAppPrivateKey"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)})
		}, want: source.ReasonAuthenticationFailed, says: "githubAppPrivateKey"},
		"OtherApp":        {reason: "the number of another app", change: func(d map[string][]byte) { d["githubAppID"] = []byte("43") }, want: source.ReasonAuthenticationFailed, says: "githubAppID"},
		"NoServer":        {reason: "an API that isn't there", change: func(d map[string][]byte) { d["githubAppBaseURL"] = []byte("http://127.0.0.1:1") }, want: source.ReasonAuthenticationFailed, says: "githubAppBaseURL"},
		"NotTheAPI":       {reason: "a page", change: func(d map[string][]byte) { d["githubAppBaseURL"] = []byte(api.URL) }, want: source.ReasonAuthenticationFailed},
		"NoID":            {reason: "no app", change: func(d map[string][]byte) { delete(d, "githubAppID") }, want: source.ReasonProviderInvalid, says: "githubAppID is missing"},
		"IDIsNoNumber":    {reason: "the app's name", change: func(d map[string][]byte) { d["githubAppID"] = []byte("my-app") }, want: source.ReasonProviderInvalid, says: "not a number"},
		"NoInstallation":  {reason: "neither", change: func(d map[string][]byte) { delete(d, "githubAppInstallationID") }, want: source.ReasonProviderInvalid, says: "one of"},
		"TwoInstallation": {reason: "both", change: func(d map[string][]byte) { d["githubAppInstallationOwner"] = []byte("team") }, want: source.ReasonProviderInvalid, says: "one of"},
		"NoKey":           {reason: "no key", change: func(d map[string][]byte) { delete(d, "githubAppPrivateKey") }, want: source.ReasonProviderInvalid, says: "githubAppPrivateKey"},
		"BadKey": {reason: "what is no key isn't quoted", change: func(d map[string][]byte) {
			d["githubAppPrivateKey"] = []byte("-----BEGIN RSA PRIVATE KEY-----\naHVudGVyMmh1bnRlcjI=\n-----END RSA PRIVATE KEY-----\n")
		}, want: source.ReasonProviderInvalid, says: "githubAppPrivateKey"},
		"BadURL": {reason: "what is no URL", change: func(d map[string][]byte) { d["githubAppBaseURL"] = []byte("api.github.com") }, want: source.ReasonProviderInvalid, says: "githubAppBaseURL"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := api.secret()
			tc.change(data)
			g, _ := newGit(t)
			auth, err := source.AuthFromGitHubApp(data, s.repoURL())
			if err == nil {
				_, err = g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: auth}, "")
			}
			if tc.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if err == nil || reason(err) != tc.want || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "aHVudGVyMm") || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	if _, err := source.AuthFromGitHubApp(api.secret(), "ssh://git@example.com/x"); reason(err) != source.ReasonProviderInvalid {
		t.Errorf("ssh knows no tokens: %v", err)
	}
	if _, err := source.AuthFromSecret(api.secret(), s.repoURL()); reason(err) != source.ReasonProviderInvalid {
		t.Errorf("without spec.provider the keys mean something that isn't done: %v", err)
	}
}

// TestGitHubAppAnswers: whatever the API answers, the token and the JWT stay out of the message.
func TestGitHubAppAnswers(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	cases := map[string]struct {
		reason string
		answer func(http.ResponseWriter, *http.Request)
	}{
		"Suspended": {reason: "an installation that is suspended", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }},
		"Echo": {reason: "a server that says what it was shown", answer: func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusTeapot)
		}},
		"Redirect": {reason: "nobody else is shown the JWT", answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/?"+r.Header.Get("Authorization"), http.StatusTemporaryRedirect)
		}},
		"Nonsense": {reason: "what is no JSON", answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>ghs_leaked-token") }},
		"Expired": {reason: "a token of yesterday", answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"token":"ghs_leaked-token","expires_at":"2020-01-01T00:00:00Z"}`)
		}},
		"TwoLines": {reason: "a token that would be two headers", answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"token":"ghs_leaked-token\r\nX: y","expires_at":"2099-01-01T00:00:00Z"}`)
		}},
		"Endless": {reason: "an answer without an end", answer: func(w http.ResponseWriter, _ *http.Request) {
			for range 3000 {
				fmt.Fprint(w, strings.Repeat("[", 1000))
			}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := serveGitHubAPI(t, time.Now)
			api.answer = func(w http.ResponseWriter, r *http.Request) bool { tc.answer(w, r); return true }
			auth, err := source.AuthFromGitHubApp(api.secret(), s.repoURL())
			must(t, err)
			g, _ := newGit(t)
			failure := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: auth})
			if text := failure.Error(); reason(failure) != source.ReasonAuthenticationFailed || strings.Contains(text, "eyJ") || strings.Contains(text, "ghs_leaked") {
				t.Errorf("%s: %v", tc.reason, failure)
			}
		})
	}
}
