package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// TestAPasswordGoesToItsHostOnly asks for histories at addresses that others have written.
func TestAPasswordGoesToItsHostOnly(t *testing.T) {
	home := t.TempDir()
	const netrc = "machine netrc.example.com login me password of-netrc\ndefault login me password of-anybody\n"
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	for name, tc := range map[string]struct {
		reason string
		from   upstream
		host   string
		want   string
	}{
		"its host":           {"this is what it is for", upstream{address: "https://git.example.com/shop"}, "git.example.com", "planted"},
		"its host and port":  {"a port is part of who listens", upstream{address: "https://git.example.com:8443/shop"}, "git.example.com:8443", "planted"},
		"another port":       {"somebody else may listen there", upstream{address: "https://git.example.com:8443/shop"}, "git.example.com", ""},
		"another host":       {"whoever may create a source names any", upstream{address: "https://evil.example.com/shop"}, "git.example.com", ""},
		"no host":            {"it can't be told whom it is for", upstream{address: "https://git.example.com/shop"}, "", ""},
		"in the clear":       {"everybody on the way reads it", upstream{address: "http://git.example.com/shop"}, "git.example.com", ""},
		"an image's claim":   {"whoever pushes an image writes it", upstream{address: "https://git.example.com/shop", claimed: true}, "git.example.com", ""},
		".netrc":             {"it names the host", upstream{address: "https://netrc.example.com/shop"}, "git.example.com", "of-netrc"},
		".netrc, no TLS":     {"everybody on the way reads it", upstream{address: "http://netrc.example.com/shop"}, "", ""},
		".netrc, an image's": {"whoever pushes an image writes it", upstream{address: "https://netrc.example.com/shop", claimed: true}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envGitPassword, "planted")
			t.Setenv(envGitHost, tc.host)
			app := testApp(t)
			own, err := app.ownCredentials(tc.from)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if basic, ok := own.Auth.(*githttp.BasicAuth); ok {
				got = basic.Password
			}
			if got != tc.want {
				t.Errorf("%s: %q is sent, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestASourcesServerIsToldNoPassword has a person ask for the history of what a source at an evil server delivered.
func TestASourcesServerIsToldNoPassword(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv(envGitPassword, "planted")
	t.Setenv(envGitHost, "git.example.com")
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked++
		if told := req.Header.Get("Authorization"); told != "" {
			t.Errorf("it is told %q", told)
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	if _, err := testApp(t).mirror(t.Context(), nil, t.TempDir(), "", upstream{address: server.URL + "/shop"}); err == nil {
		t.Error("it is fetched without a password")
	}
	if asked == 0 {
		t.Error("the server was not asked")
	}
}

func testApp(t *testing.T) *App {
	t.Helper()
	return newApp(Streams{Out: io.Discard, Err: io.Discard})
}
