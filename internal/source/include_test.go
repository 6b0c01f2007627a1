package source_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

func TestInclude(t *testing.T) {
	t.Parallel()
	other := newRepo(t)
	other.write("base/a.yaml", "a")
	other.write("base/run.sh", "#!")
	other.git("add", "-A")
	other.git("update-index", "--chmod=+x", "base/run.sh")
	other.write("base/sub/b.txt", "b")
	other.write("c.yaml", "c")
	other.write(".hidden", "h")
	other.git("add", "-A")
	other.git("commit", "-q", "-m", "other")
	mine := newRepo(t)
	mine.write("mine.yaml", "m")
	mine.write("base/mine.yaml", "m")
	mine.commit("mine")
	g, _ := newGit(t)
	lib := fetch(t, g, source.GitRequest{URL: serve(t, other).repoURL(), Ref: branch("main")})
	url := serve(t, mine).repoURL()
	cases := map[string]struct {
		reason   string
		includes []source.Include
		ignore   *string
		limits   source.Limits
		want     []string
		fails    string
		says     string
	}{
		"Whole":       {reason: "all of it, below a directory", includes: []source.Include{{To: "lib"}}, want: []string{"base/mine.yaml", "lib/.hidden", "lib/base/a.yaml", "lib/base/run.sh", "lib/base/sub/b.txt", "lib/c.yaml", "mine.yaml"}},
		"Part":        {reason: "a directory of it, into one that is there", includes: []source.Include{{From: "/base/sub", To: "./base/"}}, want: []string{"base/b.txt", "base/mine.yaml", "mine.yaml"}},
		"File":        {reason: "a file", includes: []source.Include{{From: "c.yaml", To: "d.yaml"}, {From: "base/a.yaml"}}, want: []string{"a.yaml", "base/mine.yaml", "d.yaml", "mine.yaml"}},
		"Ignored":     {reason: "the rules hold for what is included", includes: []source.Include{{From: "base", To: "lib"}}, ignore: new("*.txt\nrun.sh"), want: []string{"base/mine.yaml", "lib/a.yaml", "mine.yaml"}},
		"Missing":     {reason: "what isn't there is named", includes: []source.Include{{From: "nowhere", To: "x"}}, fails: source.ReasonIncludeCopy, says: "nowhere"},
		"InTheWay":    {reason: "a file that is there already isn't replaced", includes: []source.Include{{From: "c.yaml", To: "mine.yaml"}}, fails: source.ReasonIncludeCopy, says: "mine.yaml"},
		"Below":       {reason: "a file is no directory", includes: []source.Include{{To: "mine.yaml"}}, fails: source.ReasonIncludeCopy, says: "mine.yaml"},
		"FromOutside": {reason: "a way out is refused", includes: []source.Include{{From: "../x", To: "x"}}, fails: source.ReasonPathInvalid, says: "fromPath"},
		"ToOutside":   {reason: "a way out is refused", includes: []source.Include{{To: "a/../../x"}}, fails: source.ReasonPathInvalid, says: "toPath"},
		"TooMany":     {reason: "limits hold for the whole", includes: []source.Include{{To: "lib2"}}, limits: source.Limits{MaxFiles: 4}, fails: source.ReasonLimitExceeded, says: "MaxFiles"},
		"TooDeep":     {reason: "limits hold for the whole", includes: []source.Include{{To: strings.Repeat("d/", 10)}}, limits: source.Limits{MaxDepth: 5}, fails: source.ReasonLimitExceeded, says: "MaxDepth"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for i := range tc.includes {
				tc.includes[i].Name, tc.includes[i].Snapshot = "lib", lib
			}
			req := source.GitRequest{URL: url, Ref: branch("main"), Includes: tc.includes, Ignore: tc.ignore, Limits: tc.limits}
			if tc.fails != "" {
				if err := fails(t, g, req); reason(err) != tc.fails || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			snap := fetch(t, g, req)
			if d := cmp.Diff(tc.want, paths(t, snap)); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, d)
			}
			if name == "Whole" {
				if got := read(t, snap, "lib/base/a.yaml"); got != "a" {
					t.Errorf("lib/base/a.yaml has %q", got)
				}
			}
		})
	}
}

// TestIncludeChanges: another tree of the included repository is another tree of the including one, at the same revision.
func TestIncludeChanges(t *testing.T) {
	other, mine := newRepo(t), newRepo(t)
	other.commitFile("a.yaml", "1")
	mine.commitFile("mine.yaml", "m")
	from, s := serve(t, other), serve(t, mine)
	g, _ := newGit(t)
	get := func() *source.Snapshot {
		lib := fetch(t, g, source.GitRequest{URL: from.repoURL(), Ref: branch("main")})
		return fetch(t, g, source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Includes: []source.Include{{To: "lib", Snapshot: lib}}})
	}
	first := get()
	other.commitFile("a.yaml", "2")
	second := get()
	if first.Revision() != second.Revision() || first.Digest() == second.Digest() {
		t.Errorf("revisions %s, %s; digests %s, %s", first.Revision(), second.Revision(), first.Digest(), second.Digest())
	}
	if got := read(t, second, "lib/a.yaml"); got != "2" {
		t.Errorf("lib/a.yaml has %q", got)
	}
	if n := s.fetched.Load(); n != 1 {
		t.Errorf("the including repository was fetched %d times", n)
	}
}
