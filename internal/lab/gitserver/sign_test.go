package gitserver

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSign(t *testing.T) {
	r := repo(t, start(t, Options{}), "r")
	plain := commit(t, r, Change{Message: "one\n\nbody", Files: map[string]string{"a": "1"}})
	var payload string
	sha, err := r.Sign(t.Context(), DefaultBranch, func(text string) (string, error) {
		payload = text
		return "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "clone")
	mustGit(t, "", nil, "clone", "--quiet", r.URL(), dir)
	if head := mustGit(t, dir, nil, "rev-parse", "HEAD"); head != sha || head == plain {
		t.Errorf("the clone has %s, Sign returned %s for %s", head, sha, plain)
	}
	raw := mustGit(t, dir, nil, "cat-file", "commit", "HEAD")
	if want := "\ngpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n"; !strings.Contains(raw, want) || strings.Replace(raw, want, "\n", 1)+"\n" != payload {
		t.Errorf("signed %q, the commit is %q", payload, raw)
	}
}

func TestSubmodules(t *testing.T) {
	s := start(t, Options{})
	lib := commit(t, repo(t, s, "lib"), Change{Message: "lib", Files: map[string]string{"b": "2"}})
	r := repo(t, s, "r")
	commit(t, r, Change{
		Message: "shop", Submodules: map[string]string{"vendor/lib": lib},
		Files: map[string]string{".gitmodules": "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n"},
	})
	dir := filepath.Join(t.TempDir(), "clone")
	mustGit(t, "", nil, "clone", "--quiet", "--recurse-submodules", r.URL(), dir)
	if got := tree(t, filepath.Join(dir, "vendor/lib"))["b"]; got != "2" {
		t.Errorf("the submodule has %q", got)
	}
}
