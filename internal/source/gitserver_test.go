package source_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-dev/slipway/internal/source"
)

// repo is a work tree driven by the real git.
type repo struct {
	t    testing.TB
	dir  string // parent of the work tree
	name string // of the work tree
}

func newRepo(t testing.TB) *repo {
	t.Helper()
	return newRepoIn(t, t.TempDir(), "shop")
}

// newRepoIn makes a repository beside others, which the same server serves.
func newRepoIn(t testing.TB, dir, name string) *repo {
	t.Helper()
	r := &repo{t: t, dir: dir, name: name}
	must(t, os.MkdirAll(r.tree(), 0o755))
	r.git("init", "-q", "-b", "main")
	r.git("config", "uploadpack.allowReachableSHA1InWant", "true")
	return r
}

func (r *repo) tree() string { return filepath.Join(r.dir, r.name) }

func (r *repo) git(args ...string) string {
	r.t.Helper()
	return r.gitIn("", args...)
}

func (r *repo) gitIn(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.tree()
	cmd.Env = gitEnv()
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

func gitEnv() []string {
	return append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
		"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
}

func (r *repo) write(name, content string) {
	r.t.Helper()
	full := filepath.Join(r.tree(), name)
	must(r.t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(r.t, os.WriteFile(full, []byte(content), 0o644))
}

// commit adds everything there is and returns the commit's hash.
func (r *repo) commit(subject string) string {
	r.t.Helper()
	r.git("add", "-A", "-f")
	r.git("commit", "-q", "--allow-empty", "-m", subject)
	return r.git("rev-parse", "HEAD")
}

func (r *repo) commitFile(name, content string) string {
	r.t.Helper()
	r.write(name, content)
	return r.commit("change " + name)
}

// server is git http-backend behind net/http, with counters and hooks.
type server struct {
	*httptest.Server
	asked, fetched atomic.Int64 // requests for references, for packs
	sent           atomic.Int64 // bytes of packs
	before         atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func serve(t testing.TB, r *repo) *server {
	t.Helper()
	s := newServer(t, r)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func newServer(t testing.TB, r *repo) *server {
	t.Helper()
	git, err := exec.LookPath("git")
	must(t, err)
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: append(gitEnv(), "GIT_PROJECT_ROOT="+r.dir, "GIT_HTTP_EXPORT_ALL=1"), Stderr: io.Discard}
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if f := s.before.Load(); f != nil && (*f)(w, req) {
			return
		}
		if strings.HasSuffix(req.URL.Path, "/info/refs") {
			s.asked.Add(1)
		} else {
			s.fetched.Add(1)
			w = &countingWriter{ResponseWriter: w, n: &s.sent}
		}
		backend.ServeHTTP(w, req)
	}))
	return s
}

// intercept runs f before each request; true from f means it was answered.
func (s *server) intercept(f func(http.ResponseWriter, *http.Request) bool) { s.before.Store(&f) }

func (s *server) repoURL() string { return s.URL + "/shop/.git" }

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newGit(t testing.TB, opts ...source.GitOption) (*source.Git, *source.Store) {
	t.Helper()
	store, err := source.NewStore(t.TempDir())
	must(t, err)
	g := source.NewGit(store, opts...)
	t.Cleanup(g.Close)
	return g, store
}

func fetch(t testing.TB, g *source.Git, req source.GitRequest) *source.Snapshot {
	t.Helper()
	snap, err := g.Fetch(t.Context(), req, "")
	if err != nil {
		t.Fatalf("fetch %s: %v", source.SanitizeURL(req.URL), err)
	}
	return snap
}

func fails(t testing.TB, g *source.Git, req source.GitRequest) error {
	t.Helper()
	snap, err := g.Fetch(t.Context(), req, "")
	if err == nil {
		t.Fatalf("fetch gave %s, want an error", snap.Revision())
	}
	return err
}
