package gitserver

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func start(t *testing.T, opts Options) *Server {
	t.Helper()
	opts.Dir = t.TempDir()
	s, err := Start(opts)
	if err != nil {
		t.Fatalf("start server: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
	})
	return s
}

func repo(t *testing.T, s *Server, name string) *Repo {
	t.Helper()
	r, err := s.Repo(t.Context(), name)
	if err != nil {
		t.Fatalf("create repository: %v", err)
	}
	return r
}

func commit(t *testing.T, r *Repo, c Change) string {
	t.Helper()
	sha, err := r.Apply(t.Context(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return sha
}

// git runs a person's git with an empty configuration.
func git(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Env = dir, append(gitEnv(), env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustGit(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	out, err := git(t, dir, env, args...)
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

// tree reads a checkout: path → content, or "-> target" for a link.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for path := range strings.SplitSeq(mustGit(t, dir, nil, "ls-files"), "\n") {
		full := filepath.Join(dir, path)
		if target, err := os.Readlink(full); err == nil {
			found[path] = "-> " + target
			continue
		}
		data, err := os.ReadFile(full)
		if err != nil {
			t.Fatal(err)
		}
		found[path] = string(data)
	}
	return found
}

func TestApplyThenClone(t *testing.T) {
	cases := map[string]struct {
		reason  string
		changes []Change
		branch  string
		want    map[string]string
	}{
		"Files": {
			reason:  "what was committed is what a clone has, also with odd bytes and names",
			changes: []Change{{Files: map[string]string{"a.yaml": "a: 1\n", "d/ü b.txt": "x\n\ndata 3\n"}}},
			want:    map[string]string{"a.yaml": "a: 1\n", "d/ü b.txt": "x\n\ndata 3\n"},
		},
		"Later": {
			reason: "a second commit writes, removes files and folders, and keeps the rest",
			changes: []Change{
				{Files: map[string]string{"a": "1", "b": "1", "d/x": "1", "d/y": "1"}},
				{Files: map[string]string{"a": "2"}, Remove: []string{"b", "d"}},
			},
			want: map[string]string{"a": "2"},
		},
		"Symlink": {
			reason:  "links are links, out of the tree too: tests of hostile trees need them",
			changes: []Change{{Symlinks: map[string]string{"out": "../../etc/passwd"}}},
			want:    map[string]string{"out": "-> ../../etc/passwd"},
		},
		"Fresh": {
			reason: "a fresh change forgets what was there",
			changes: []Change{
				{Files: map[string]string{"a": "1", "b": "1"}},
				{Fresh: true, Files: map[string]string{"c": "1"}},
			},
			want: map[string]string{"c": "1"},
		},
		"Branch": {
			reason: "a branch starts where it is told to and leaves main alone",
			changes: []Change{
				{Files: map[string]string{"a": "1"}},
				{Branch: "feature", From: "main", Files: map[string]string{"b": "1"}},
				{Files: map[string]string{"c": "1"}},
			},
			branch: "feature",
			want:   map[string]string{"a": "1", "b": "1"},
		},
	}
	s := start(t, Options{})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := repo(t, s, name)
			var sha string
			for _, c := range tc.changes {
				c.Message = "change"
				made := commit(t, r, c)
				if c.Branch == tc.branch {
					sha = made
				}
			}
			dir := filepath.Join(t.TempDir(), "clone")
			branch := DefaultBranch
			if tc.branch != "" {
				branch = tc.branch
			}
			mustGit(t, "", nil, "-c", "core.quotePath=false", "clone", "--quiet", "--branch", branch, r.URL(), dir)
			mustGit(t, dir, nil, "config", "core.quotePath", "false")
			if diff := cmp.Diff(tc.want, tree(t, dir)); diff != "" {
				t.Errorf("%s: tree (-want +got):\n%s", tc.reason, diff)
			}
			if got := mustGit(t, dir, nil, "rev-parse", "HEAD"); got != sha {
				t.Errorf("%s: clone has %s, Apply returned %s", tc.reason, got, sha)
			}
		})
	}
}

func TestApplyRefusesPathsOutsideTheRepository(t *testing.T) {
	r := repo(t, start(t, Options{}), "r")
	for _, path := range []string{"", "/abs", "two\nlines", `"quoted"`} {
		if _, err := r.Commit(t.Context(), map[string]string{path: "x"}, "m"); err == nil {
			t.Errorf("path %q: committed", path)
		}
	}
}

func TestTagAndReset(t *testing.T) {
	r := repo(t, start(t, Options{}), "r")
	first := commit(t, r, Change{Message: "one", Files: map[string]string{"a": "1"}})
	second := commit(t, r, Change{Message: "two", Files: map[string]string{"a": "2"}})
	for name, message := range map[string]string{"v1.0.0": "", "v1.1.0": "annotated"} {
		if err := r.Tag(t.Context(), name, first, message); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Reset(t.Context(), DefaultBranch, first); err != nil {
		t.Fatal(err)
	}
	refs := mustGit(t, "", nil, "ls-remote", r.URL())
	for _, want := range []string{first + "\trefs/heads/main", first + "\trefs/tags/v1.0.0", first + "\trefs/tags/v1.1.0^{}"} {
		if !strings.Contains(refs, want) {
			t.Errorf("ls-remote lacks %q:\n%s", want, refs)
		}
	}
	dir := t.TempDir()
	mustGit(t, dir, nil, "init", "--quiet")
	if out, err := git(t, dir, nil, "fetch", r.URL(), second); err == nil {
		t.Errorf("the commit that was reset away is still there: %s", out)
	}
}

func TestPushOverHTTP(t *testing.T) {
	s := start(t, Options{})
	r := repo(t, s, "r")
	commit(t, r, Change{Message: "one", Files: map[string]string{"a": "1"}})
	dir := filepath.Join(t.TempDir(), "clone")
	mustGit(t, "", nil, "clone", "--quiet", r.URL(), dir)

	// More than git's http.postBuffer (1 MiB), so that it is sent in chunks.
	big := make([]byte, 3<<20)
	for i, x := 0, uint32(1); i < len(big); i++ {
		x = x*1664525 + 1013904223
		big[i] = byte(x >> 24)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), big, 0o600); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, nil, "add", "big")
	mustGit(t, dir, nil, "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "big")
	mustGit(t, dir, nil, "push", "--quiet", "origin", "main")

	head, err := r.Head(t.Context(), DefaultBranch)
	if err != nil {
		t.Fatal(err)
	}
	if want := mustGit(t, dir, nil, "rev-parse", "HEAD"); head != want {
		t.Errorf("after the push main is %s, want %s", head, want)
	}
	// A commit through the API goes on top of what was pushed.
	commit(t, r, Change{Message: "three", Files: map[string]string{"c": "1"}})
	mustGit(t, dir, nil, "pull", "--quiet", "--ff-only")
	if _, err := os.Stat(filepath.Join(dir, "c")); err != nil {
		t.Errorf("pull after push and commit: %v", err)
	}
}

func TestBasicAuth(t *testing.T) {
	cases := map[string]struct {
		reason string
		user   *url.Userinfo
		ok     bool
	}{
		"Right":   {reason: "the right credentials clone", user: url.UserPassword("robot", "s3cret"), ok: true},
		"Wrong":   {reason: "a wrong password is refused", user: url.UserPassword("robot", "guess")},
		"Nothing": {reason: "no credentials are refused"},
	}
	s := start(t, Options{Username: "robot", Password: "s3cret"})
	r := repo(t, s, "r")
	commit(t, r, Change{Message: "one", Files: map[string]string{"a": "1"}})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(r.URL())
			if err != nil {
				t.Fatal(err)
			}
			u.User = tc.user
			out, err := git(t, "", nil, "clone", "--quiet", u.String(), filepath.Join(t.TempDir(), "c"))
			if (err == nil) != tc.ok {
				t.Errorf("%s: clone: %v\n%s", tc.reason, err, out)
			}
		})
	}
}

func TestSeveralAddresses(t *testing.T) {
	s := start(t, Options{Listen: []string{"127.0.0.1:0", "127.0.0.2:0"}})
	r := repo(t, s, "r")
	sha := commit(t, r, Change{Message: "one", Files: map[string]string{"a": "1"}})
	if !strings.HasPrefix(r.URLAt("127.0.0.1"), "http://127.0.0.1:") || r.URLAt("127.0.0.1") != r.URL() {
		t.Errorf("URLAt(127.0.0.1) = %s, URL() = %s", r.URLAt("127.0.0.1"), r.URL())
	}
	for _, addr := range s.Addresses() {
		if out := mustGit(t, "", nil, "ls-remote", "http://"+addr+"/r.git", "main"); !strings.HasPrefix(out, sha) {
			t.Errorf("ls-remote at %s: %s", addr, out)
		}
	}
}

func TestRestartKeepsRepositories(t *testing.T) {
	dir := t.TempDir()
	first, err := Start(Options{Dir: dir, SSHListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	sha := commit(t, repo(t, first, "r"), Change{Message: "one", Files: map[string]string{"a": "1"}})
	key := first.ssh.hostKey.Marshal()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Start(Options{Dir: dir, SSHListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, err := repo(t, second, "r").Head(t.Context(), DefaultBranch); err != nil || got != sha {
		t.Errorf("after a restart main is %s (%v), want %s", got, err, sha)
	}
	if diff := cmp.Diff(key, second.ssh.hostKey.Marshal()); diff != "" {
		t.Errorf("the host key changed:\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"top.yaml": "1", "base/x.yaml": "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Files(os.DirFS(dir), "deploy")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"deploy/top.yaml": "1", "deploy/base/x.yaml": "2"}, got); diff != "" {
		t.Errorf("Files (-want +got):\n%s", diff)
	}
}
