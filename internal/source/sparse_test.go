package source_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

func TestSparseCheckout(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for _, name := range []string{"top.yaml", "deploy/base/a.yaml", "deploy/prod/b.yaml", "deploy-old/c.yaml", "docs/d.yaml", "docs/.sourceignore", ".sourceignore"} {
		r.write(name, "*.txt\n")
	}
	r.write("deploy/base/x.txt", "x")
	r.write("docs/x.txt", "x")
	r.write("huge", strings.Repeat("x", 5000))
	r.commit("all")
	url := serve(t, r).repoURL()
	cases := map[string]struct {
		reason string
		dirs   []string
		ignore *string
		want   []string
		fails  string // the reason
		says   string
	}{
		"OneDirectory": {reason: "only what is below it; the root's ignore rules aren't there either", dirs: []string{"deploy"}, want: []string{"deploy/base/a.yaml", "deploy/base/x.txt", "deploy/prod/b.yaml"}},
		"Deeper":       {reason: "a directory in a directory", dirs: []string{"./deploy/prod/"}, want: []string{"deploy/prod/b.yaml"}},
		"Several":      {reason: "several, twice, one in the other; the rules in them hold", dirs: []string{"docs", "deploy/prod", "docs", "/deploy/prod"}, want: []string{"deploy/prod/b.yaml", "docs/.sourceignore", "docs/d.yaml"}},
		"Root":         {reason: "the root is everything", dirs: []string{".", "docs"}, ignore: new("huge"), want: []string{".sourceignore", "deploy/base/a.yaml", "deploy/prod/b.yaml", "deploy-old/c.yaml", "docs/.sourceignore", "docs/d.yaml", "top.yaml"}},
		"WithIgnore":   {reason: "spec.ignore holds for what is taken", dirs: []string{"deploy"}, ignore: new("prod/"), want: []string{"deploy/base/a.yaml", "deploy/base/x.txt"}},
		"Missing":      {reason: "what isn't there is named", dirs: []string{"deploy", "nowhere"}, fails: source.ReasonGitOperationFailed, says: `"nowhere"`},
		"Outside":      {reason: "a way out is refused", dirs: []string{"deploy/../../etc"}, fails: source.ReasonPathInvalid, says: "leads out"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g, _ := newGit(t)
			req := source.GitRequest{URL: url, Ref: branch("main"), Sparse: tc.dirs, Ignore: tc.ignore, Limits: source.Limits{MaxFileBytes: 4000}}
			if tc.fails != "" {
				if err := fails(t, g, req); reason(err) != tc.fails || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if d := cmp.Diff(tc.want, paths(t, fetch(t, g, req))); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, d)
			}
		})
	}
}

// TestSparseCheckoutsShareTheObjects: another selection of the same commit costs no fetch, and gets what it asks for.
func TestSparseCheckoutsShareTheObjects(t *testing.T) {
	r := newRepo(t)
	r.write("a/x", "x")
	r.write("b/y", "y")
	r.commit("both")
	s := serve(t, r)
	g, _ := newGit(t)
	for _, dir := range []string{"a", "b", "a"} {
		got := paths(t, fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Sparse: []string{dir}}))
		if len(got) != 1 || !strings.HasPrefix(got[0], dir+"/") {
			t.Errorf("%s has %q", dir, got)
		}
	}
	if n := s.fetched.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
