package source_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

// submodule adds a submodule as git submodule add does, at any path and with any URL.
func (r *repo) submodule(path, url, commit string) {
	r.t.Helper()
	r.modulesEntry(path, path, url)
	r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
	r.git("commit", "-q", "-m", "submodule "+path)
}

func (r *repo) modulesEntry(name, path, url string) {
	r.t.Helper()
	r.git("config", "-f", ".gitmodules", "submodule."+name+".path", path)
	r.git("config", "-f", ".gitmodules", "submodule."+name+".url", url)
	r.git("add", ".gitmodules")
}

// guardRepo lets only one password see a repository, and remembers what else was shown.
type guardedRepo struct {
	mu    sync.Mutex
	shown []string // Authorization headers that reached it
}

func (g *guardedRepo) protect(s *server, prefix, user, password string) {
	s.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if auth := req.Header.Get("Authorization"); auth != "" {
			g.mu.Lock()
			g.shown = append(g.shown, auth)
			g.mu.Unlock()
		}
		if !strings.HasPrefix(req.URL.Path, prefix) {
			return false
		}
		if u, p, ok := req.BasicAuth(); ok && u == user && p == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
}

func TestSubmodules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shop, lib, deep := newRepoIn(t, dir, "shop"), newRepoIn(t, dir, "lib"), newRepoIn(t, dir, "deep")
	elsewhere := newRepo(t)
	far := serve(t, elsewhere)
	deep.write("deep.yaml", "deep")
	lib.write("lib.yaml", "lib")
	lib.write("lib.txt", "txt")
	lib.write(".sourceignore", "*.txt\n")
	lib.commit("lib")
	lib.submodule("inner/deep", "../../deep/.git", deep.commit("deep"))
	old := lib.git("rev-parse", "HEAD")
	lib.commitFile("lib.yaml", "newer") // Not what shop names.
	shop.write("shop.yaml", "shop")
	shop.write("notes.txt", "kept")
	shop.commit("shop")
	shop.submodule("vendor/lib", "../../lib/.git", old)
	shop.submodule("vendor/far", far.repoURL(), elsewhere.commitFile("far.yaml", "far"))
	s := serve(t, shop)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Submodules: true}
	snap := fetch(t, g, req)
	want := []string{"notes.txt", "shop.yaml", "vendor/far/far.yaml", "vendor/lib/.sourceignore", "vendor/lib/inner/deep/deep.yaml", "vendor/lib/lib.yaml"}
	if d := cmp.Diff(want, paths(t, snap)); d != "" {
		t.Errorf("submodules are directories, with their own ignore rules (-want +got):\n%s", d)
	}
	if got := read(t, snap, "vendor/lib/lib.yaml"); got != "lib" {
		t.Errorf("the submodule is at %q, not at the commit that the repository names", got)
	}

	asked, farAsked := s.asked.Load(), far.asked.Load()
	fetch(t, g, req)
	if a, f := s.asked.Load()-asked, far.asked.Load()-farAsked; a != 1 || f != 0 {
		t.Errorf("without news, %d questions about the repository and %d about its submodules: want 1 and 0", a, f)
	}

	plain := fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main")})
	if d := cmp.Diff([]string{"notes.txt", "shop.yaml"}, paths(t, plain)); d != "" {
		t.Errorf("without recurseSubmodules (-want +got):\n%s", d)
	}

	far.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	part := fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Submodules: true, Sparse: []string{"vendor/lib/inner"}})
	if d := cmp.Diff([]string{"vendor/lib/inner/deep/deep.yaml"}, paths(t, part)); d != "" {
		t.Errorf("with sparseCheckout only what is needed is fetched (-want +got):\n%s", d)
	}
}

// TestSubmoduleCredentials: those of the repository go to its own server only.
func TestSubmoduleCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shop, lib := newRepoIn(t, dir, "shop"), newRepoIn(t, dir, "lib")
	elsewhere := newRepo(t)
	far := serve(t, elsewhere)
	strange := &guardedRepo{}
	strange.protect(far, "/none", "", "")
	shop.commitFile("shop.yaml", "shop")
	shop.submodule("lib", "../../lib/.git", lib.commitFile("lib.yaml", "lib"))
	s := serve(t, shop)
	own := &guardedRepo{}
	own.protect(s, "/", "ada", "correct-horse")
	auth, err := source.AuthFromSecret(map[string][]byte{"username": []byte("ada"), "password": []byte("correct-horse")}, s.repoURL())
	must(t, err)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: auth, Submodules: true}
	if d := cmp.Diff([]string{"lib/lib.yaml", "shop.yaml"}, paths(t, fetch(t, g, req))); d != "" {
		t.Errorf("a private submodule of the same server (-want +got):\n%s", d)
	}

	shop.submodule("far", far.repoURL(), elsewhere.commitFile("far.yaml", "far"))
	if d := cmp.Diff([]string{"far/far.yaml", "lib/lib.yaml", "shop.yaml"}, paths(t, fetch(t, g, req))); d != "" {
		t.Errorf("a public submodule of another server (-want +got):\n%s", d)
	}
	if len(strange.shown) > 0 {
		t.Errorf("another server was shown %q", strange.shown)
	}

	strange.protect(far, "/", "bob", "battery-staple")
	elsewhere.commitFile("far.yaml", "private")
	shop.git("update-index", "--add", "--cacheinfo", "160000,"+elsewhere.git("rev-parse", "HEAD")+",far")
	shop.git("commit", "-q", "-m", "move")
	failure := fails(t, g, req)
	if reason(failure) != source.ReasonAuthenticationFailed || !strings.Contains(failure.Error(), "spec.include") || !strings.Contains(failure.Error(), `"far"`) {
		t.Errorf("it must name the submodule and what to do: %v", failure)
	}
	if strings.Contains(failure.Error(), "correct-horse") || len(strange.shown) > 0 {
		t.Errorf("another server was shown %q; the message is %v", strange.shown, failure)
	}
}

// TestSubmodulesIsolate: who can't see a submodule doesn't get it out of the store, though somebody else's fetch put it there.
func TestSubmodulesIsolate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shop, lib := newRepoIn(t, dir, "shop"), newRepoIn(t, dir, "lib")
	shop.commitFile("shop.yaml", "shop")
	shop.submodule("lib", "../../lib/.git", lib.commitFile("secret.yaml", "secret"))
	s := serve(t, shop)
	(&guardedRepo{}).protect(s, "/lib", "ada", "correct-horse")
	ada, err := source.AuthFromSecret(map[string][]byte{"username": []byte("ada"), "password": []byte("correct-horse")}, s.repoURL())
	must(t, err)
	bob, err := source.AuthFromSecret(map[string][]byte{"username": []byte("bob"), "password": []byte("guess")}, s.repoURL())
	must(t, err)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Auth: ada, Submodules: true}
	fetch(t, g, req)
	req.Auth = bob
	if err := fails(t, g, req); reason(err) != source.ReasonAuthenticationFailed {
		t.Errorf("got %v", err)
	}
}

func TestSubmoduleRefusals(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason    string
		path, url string // url: %s is the server's
		want      string // the reason of the error
		says      string
	}{
		"File":          {reason: "the agent's own disk is nobody's business", path: "a", url: "file:///etc", want: source.ReasonGitOperationFailed, says: "its URL"},
		"Path":          {reason: "nor is it when it is written as a path", path: "a", url: "/etc", want: source.ReasonGitOperationFailed, says: "its URL"},
		"Helper":        {reason: "other transports run programs", path: "a", url: "ext::sh -c id", want: source.ReasonGitOperationFailed, says: "its URL"},
		"Option":        {reason: "options are no URLs", path: "a", url: "--upload-pack=id", want: source.ReasonGitOperationFailed, says: "dash"},
		"OptionHost":    {reason: "nor are they hosts", path: "a", url: "ssh://-oProxyCommand=id/x", want: source.ReasonGitOperationFailed},
		"Credentials":   {reason: "a password in a repository is everybody's", path: "a", url: "https://ada:hunter2hunter2@example.com/a", want: source.ReasonGitOperationFailed, says: "credentials"},
		"AboveServer":   {reason: "a relative URL stays on the server", path: "a", url: "../../../../../a", want: source.ReasonGitOperationFailed, says: "above"},
		"Gone":          {reason: "a commit that the submodule doesn't have", path: "a", url: "%s/shop/.git", want: source.ReasonGitOperationFailed, says: "set the submodule to another commit"},
		"NoRepository":  {reason: "a repository that isn't there", path: "a", url: "%s/nowhere/.git", want: source.ReasonGitOperationFailed, says: `submodule "a"`},
		"SSHWithoutKey": {reason: "ssh needs a key, and there is none for that server", path: "a", url: "git@127.0.0.1:team/x.git", want: source.ReasonAuthenticationFailed, says: "spec.include"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commitFile("f", "x")
			s := serve(t, r)
			at := tc.url
			if strings.Contains(at, "%s") {
				at = fmt.Sprintf(at, s.URL)
			}
			r.submodule(tc.path, at, strings.Repeat("ab", 20))
			g, _ := newGit(t)
			err := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Submodules: true})
			if reason(err) != tc.want || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

func TestSubmoduleWithoutEntry(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",vendor")
	r.git("commit", "-q", "-m", "submodule")
	g, _ := newGit(t)
	err := fails(t, g, source.GitRequest{URL: serve(t, r).repoURL(), Ref: branch("main"), Submodules: true})
	if reason(err) != source.ReasonGitOperationFailed || !strings.Contains(err.Error(), ".gitmodules") {
		t.Errorf("a tree that would lack something isn't a tree: %v", err)
	}
}

// TestTooManySubmodules: a chain of repositories, and a repository with too many of them.
func TestTooManySubmodules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	below, commit := "", ""
	var last *repo
	for i := range 7 {
		last = newRepoIn(t, dir, fmt.Sprintf("chain%d", i))
		last.commitFile("f", fmt.Sprint(i))
		if below != "" {
			last.submodule("sub", "../../"+below+"/.git", commit)
		}
		below, commit = last.name, last.git("rev-parse", "HEAD")
	}
	many := newRepoIn(t, dir, "many")
	many.commitFile("f", "x")
	for i := range 101 {
		many.modulesEntry(fmt.Sprintf("m%d", i), fmt.Sprintf("m%d", i), "../../chain0/.git")
	}
	var index strings.Builder
	first := newRepoIn(t, dir, "one")
	_ = first
	hash := (&repo{t: t, dir: dir, name: "chain0"}).git("rev-parse", "HEAD")
	for i := range 101 {
		fmt.Fprintf(&index, "160000 %s 0\tm%d\n", hash, i)
	}
	many.gitIn(index.String(), "update-index", "--add", "--index-info")
	many.git("commit", "-q", "-m", "many")
	s := serve(t, last)
	for name, want := range map[string]string{last.name: "depth of submodules", many.name: "submodules"} {
		g, _ := newGit(t)
		at, err := url.JoinPath(s.URL, name, ".git")
		must(t, err)
		failure := fails(t, g, source.GitRequest{URL: at, Ref: branch("main"), Submodules: true})
		if reason(failure) != source.ReasonLimitExceeded || !strings.Contains(failure.Error(), want) {
			t.Errorf("%s: %v", name, failure)
		}
	}
}

// TestSubmodulesOverSSH: a relative URL keeps the user, the host and the key.
func TestSubmodulesOverSSH(t *testing.T) {
	identity, key := newKey(t, "")
	dir := t.TempDir()
	shop, lib := newRepoIn(t, dir, "shop"), newRepoIn(t, dir, "lib")
	shop.commitFile("shop.yaml", "shop")
	shop.submodule("lib", "../lib", lib.commitFile("lib.yaml", "lib"))
	s := serveSSH(t, shop, key.PublicKey())
	auth, err := source.AuthFromSecret(map[string][]byte{"identity": identity, "known_hosts": s.knownHosts()}, s.url())
	must(t, err)
	g, _ := newGit(t)
	got := paths(t, fetch(t, g, source.GitRequest{URL: s.url(), Ref: branch("main"), Auth: auth, Submodules: true}))
	if d := cmp.Diff([]string{"lib/lib.yaml", "shop.yaml"}, got); d != "" {
		t.Error(d)
	}
}

// TestNoSubmoduleLeft: whoever removes the last submodule, or writes none down, leaves a .gitmodules that lists nothing.
func TestNoSubmoduleLeft(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"Empty": "", "Comment": "# none\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.write("a.yaml", "a")
			r.commitFile(".gitmodules", text)
			g, _ := newGit(t)
			snap := fetch(t, g, source.GitRequest{URL: serve(t, r).repoURL(), Ref: branch("main"), Submodules: true})
			if got := read(t, snap, "a.yaml"); got != "a" {
				t.Errorf("content %q", got)
			}
		})
	}
}
