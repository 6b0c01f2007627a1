// Package gittest gives tests a Git server.
package gittest

import (
	"testing"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// Start starts a server that ends with the test, and makes an empty repository of the name on it. Options.Dir may be empty: a folder of the
// test's own then. The test ends where there can be no server.
func Start(t testing.TB, repo string, opts gitserver.Options) (*gitserver.Server, *gitserver.Repo) {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	server, err := gitserver.Start(opts)
	if err != nil {
		t.Fatalf("start a Git server: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("stop the Git server: %v", err)
		}
	})
	r, err := server.Repo(t.Context(), repo)
	if err != nil {
		t.Fatalf("make the repository %s: %v", repo, err)
	}
	return server, r
}
