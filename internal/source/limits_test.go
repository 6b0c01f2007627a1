package source_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

func TestLimits(t *testing.T) {
	r := newRepo(t)
	for i := range 20 {
		r.write(fmt.Sprintf("files/f%d.yaml", i), fmt.Sprint("content ", i))
	}
	r.write("big.bin", strings.Repeat("big", 10_000))
	r.write(strings.Repeat("d/", 12)+"deep.yaml", "deep")
	r.commit("all")
	s := serve(t, r)
	ignoreBig, ignoreFiles := "big.bin", "files/"
	cases := map[string]struct {
		reason string
		limits source.Limits
		ignore *string
		limit  string
		says   string
	}{
		"defaults":      {"a small repository passes", source.Limits{}, nil, "", ""},
		"file":          {"one file is too large", source.Limits{MaxFileBytes: 1000}, nil, "MaxFileBytes", "big.bin"},
		"file ignored":  {"an ignored file may be large", source.Limits{MaxFileBytes: 1000}, &ignoreBig, "", ""},
		"tree":          {"all files together are too large", source.Limits{MaxTreeBytes: 1000}, nil, "MaxTreeBytes", "spec.ignore"},
		"tree ignored":  {"what is ignored doesn't count", source.Limits{MaxTreeBytes: 1000}, &ignoreBig, "", ""},
		"files":         {"too many files", source.Limits{MaxFiles: 10}, nil, "MaxFiles", "spec.ignore"},
		"files ignored": {"ignored files don't count", source.Limits{MaxFiles: 10}, &ignoreFiles, "", ""},
		"entries":       {"but looking at them has an end as well", source.Limits{MaxFiles: 2}, &ignoreFiles, "MaxFiles*10", "split"},
		"depth":         {"too deep a tree", source.Limits{MaxDepth: 10}, nil, "MaxDepth", "d/d/d"},
		"object":        {"a Git object too large to unpack", source.Limits{MaxObjectBytes: 2000}, &ignoreBig, "MaxObjectBytes", "LFS"},
		"objects":       {"too many Git objects", source.Limits{MaxObjects: 5}, nil, "MaxObjects", "LFS"},
		"unpacked":      {"a pack that unpacks to too much", source.Limits{MaxUnpackedBytes: 5000}, nil, "MaxUnpackedBytes", "LFS"},
		"pack":          {"too many bytes on the wire", source.Limits{MaxPackBytes: 500}, nil, "MaxPackBytes", "LFS"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g, _ := newGit(t)
			_, err := g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Limits: tc.limits, Ignore: tc.ignore}, "")
			if tc.limit == "" {
				must(t, err)
				return
			}
			var limit *source.LimitError
			if !errors.As(err, &limit) || limit.Limit != tc.limit || reason(err) != source.ReasonLimitExceeded || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

func TestHistoryLimitSaysHowToAvoidIt(t *testing.T) {
	r, commits := history(t)
	r.git("config", "uploadpack.allowReachableSHA1InWant", "false")
	s := serve(t, r)
	g, _ := newGit(t)
	err := fails(t, g, source.GitRequest{URL: s.repoURL(), Ref: &sourcev1.GitRepositoryRef{Commit: commits["plain"]}, Limits: source.Limits{MaxObjects: 2}})
	if !strings.Contains(err.Error(), "allowReachableSHA1InWant") {
		t.Errorf("got %v", err)
	}
}

// A few hundred bytes that stand for a billion files.
func TestTreeBomb(t *testing.T) {
	r := newRepo(t)
	blob := r.gitIn("x", "hash-object", "-w", "--stdin")
	list := func(kind, hash string) string {
		var b strings.Builder
		for i := range 10 {
			fmt.Fprintf(&b, "%s %s\tn%d\n", kind, hash, i)
		}
		return b.String()
	}
	tree := r.gitIn(list("100644 blob", blob), "mktree")
	for range 8 {
		tree = r.gitIn(list("040000 tree", tree), "mktree")
	}
	r.git("update-ref", "refs/heads/main", r.git("commit-tree", "-m", "bomb", tree))
	g, _ := newGit(t, source.AllowFile())
	all := "*"
	for _, url := range []string{serve(t, r).repoURL(), "file://" + r.tree()} {
		for _, ignore := range []*string{nil, &all} {
			var limit *source.LimitError
			err := fails(t, g, source.GitRequest{URL: url, Ref: branch("main"), Ignore: ignore, Limits: source.Limits{MaxFiles: 1000}})
			if !errors.As(err, &limit) {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
}

func TestMalformedTrees(t *testing.T) {
	cases := map[string]string{
		"dot git":   "100644 .git\x00",
		"dot GIT":   "100644 .GIT\x00",
		"dot dot":   "100644 ..\x00",
		"slash":     "100644 a/b\x00",
		"no name":   "100644 \x00",
		"bad mode":  "1x0644 a\x00",
		"odd mode":  "010644 a\x00",
		"long name": "100644 " + strings.Repeat("n", 300) + "\x00",
		"no UTF-8":  "100644 \xff\xfe\x00",
	}
	r := newRepo(t)
	r.commitFile("f", "x")
	blob := r.git("rev-parse", "HEAD:f")
	raw := make([]byte, 20)
	_, err := fmt.Sscanf(blob, "%40x", &raw)
	must(t, err)
	cases["twice"] = "100644 a\x00" + string(raw) + "100644 a\x00"
	cases["file and directory"] = "100644 a\x00" + string(raw) + "100644 b\x00" + string(raw) + "100755 a\x00"
	for name, entry := range cases {
		t.Run(name, func(t *testing.T) {
			tree := r.gitIn(entry+string(raw), "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
			r.git("update-ref", "refs/heads/bad", r.git("commit-tree", "-m", "bad", tree))
			g, _ := newGit(t, source.AllowFile())
			err := fails(t, g, source.GitRequest{URL: "file://" + r.tree(), Ref: branch("bad")})
			if reason(err) != source.ReasonGitOperationFailed {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReferenceToWhatIsNoCommit(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	r.git("tag", "blob", r.git("rev-parse", "HEAD:f"))
	r.git("tag", "tree", r.git("rev-parse", "HEAD^{tree}"))
	s := serve(t, r)
	for _, tag := range []string{"blob", "tree"} {
		for _, url := range []string{s.repoURL(), "file://" + r.tree()} {
			g, _ := newGit(t, source.AllowFile())
			err := fails(t, g, source.GitRequest{URL: url, Ref: &sourcev1.GitRepositoryRef{Tag: tag}})
			if reason(err) != source.ReasonGitOperationFailed {
				t.Errorf("%s: %v", tag, err)
			}
		}
	}
}

func TestEndlessReferences(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	s := serve(t, r)
	s.intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte(pkt("# service=git-upload-pack\n") + "0000" + pkt(strings.Repeat("ab", 20)+" HEAD\x00agent=x\n")))
		for i := 0; ; i++ {
			if _, err := w.Write([]byte(pkt(fmt.Sprintf("%s refs/heads/%01000d\n", strings.Repeat("ab", 20), i)))); err != nil {
				return true
			}
		}
	})
	g, _ := newGit(t)
	var limit *source.LimitError
	if err := fails(t, g, source.GitRequest{URL: s.repoURL()}); !errors.As(err, &limit) {
		t.Errorf("got %v", err)
	}
}

func TestParseLimits(t *testing.T) {
	got, err := source.ParseLimits(map[string]int64{
		"MaxTreeBytes": 1, "MaxFileBytes": 2, "MaxFiles": 3, "MaxDepth": 4, "MaxPackBytes": 5, "MaxObjectBytes": 6, "MaxUnpackedBytes": 7, "MaxObjects": 8,
	})
	want := source.Limits{MaxTreeBytes: 1, MaxFileBytes: 2, MaxFiles: 3, MaxDepth: 4, MaxPackBytes: 5, MaxObjectBytes: 6, MaxUnpackedBytes: 7, MaxObjects: 8}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, bad := range map[string]map[string]int64{"unknown": {"MaxEverything": 1}, "zero": {"MaxFiles": 0}} {
		if _, err := source.ParseLimits(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
