package gitserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage/memory"
)

// sshAuth is a client with one key that trusts the server's host key only.
func sshAuth(t *testing.T, s *Server, key []byte) *gitssh.PublicKeys {
	t.Helper()
	auth, err := gitssh.NewPublicKeys("git", key, "")
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(s.KnownHosts()), 0o600); err != nil {
		t.Fatal(err)
	}
	if auth.HostKeyCallback, err = gitssh.NewKnownHostsCallback(known); err != nil {
		t.Fatal(err)
	}
	return auth
}

func TestSSHRead(t *testing.T) {
	s := start(t, Options{SSHListen: "127.0.0.1:0"})
	r := repo(t, s, "r")
	sha := commit(t, r, Change{Message: "one", Files: map[string]string{"a": "1"}})
	known, err := s.NewSSHKey()
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		key    []byte
		url    string
		ok     bool
	}{
		"Known":    {reason: "a key the server made reads", key: known, url: r.SSHURL(), ok: true},
		"Stranger": {reason: "another key is refused", key: stranger, url: r.SSHURL()},
		"Absent":   {reason: "a repository that isn't there is an error", key: known, url: strings.Replace(r.SSHURL(), "/r.git", "/none.git", 1)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			remote := gogit.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{tc.url}})
			refs, err := remote.ListContext(t.Context(), &gogit.ListOptions{Auth: sshAuth(t, s, tc.key)})
			if (err == nil) != tc.ok {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if !tc.ok {
				return
			}
			for _, ref := range refs {
				if ref.Name().Short() == DefaultBranch && ref.Hash().String() == sha {
					return
				}
			}
			t.Errorf("%s: no main at %s in %v", tc.reason, sha, refs)
		})
	}
}

func TestSSHPush(t *testing.T) {
	s := start(t, Options{SSHListen: "127.0.0.1:0"})
	r := repo(t, s, "r")
	commit(t, r, Change{Message: "one", Files: map[string]string{"a": "1"}})
	key, err := s.NewSSHKey()
	if err != nil {
		t.Fatal(err)
	}
	auth := sshAuth(t, s, key)
	clone, err := gogit.PlainCloneContext(t.Context(), t.TempDir(), false, &gogit.CloneOptions{URL: r.SSHURL(), Auth: auth})
	if err != nil {
		t.Fatalf("clone: %v", err)
	}
	work, err := clone.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	made, err := work.Commit("two", &gogit.CommitOptions{AllowEmptyCommits: true, Author: &object.Signature{Name: "n", Email: "e"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.PushContext(t.Context(), &gogit.PushOptions{Auth: auth}); err != nil {
		t.Fatalf("push: %v", err)
	}
	if head, err := r.Head(t.Context(), DefaultBranch); err != nil || head != made.String() {
		t.Errorf("after the push main is %s (%v), want %s", head, err, made)
	}
}

func TestSSHIsOffByDefault(t *testing.T) {
	s := start(t, Options{})
	if _, err := s.NewSSHKey(); err == nil {
		t.Error("a server without SSH made a key")
	}
	if got := repo(t, s, "r").SSHURL() + s.KnownHosts(); got != "" {
		t.Errorf("a server without SSH has the address %q", got)
	}
}
