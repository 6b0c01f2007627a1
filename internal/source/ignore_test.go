package source_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

func paths(t testing.TB, s *source.Snapshot) []string {
	t.Helper()
	var out []string
	must(t, fs.WalkDir(s.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, name)
		}
		return err
	}))
	return out
}

func TestIgnore(t *testing.T) {
	tree := []string{".gitignore", ".github/ci.yaml", ".goreleaser.yml", "app.yaml", "logo.png", "deploy/a.yaml", "deploy/b.yaml", "deploy/prod/c.yaml", "docs/readme.md"}
	text := func(s string) *string { return &s }
	cases := map[string]struct {
		reason string
		files  map[string]string
		ignore *string
		want   []string
	}{
		"defaults":         {"Flux's defaults", nil, nil, []string{"app.yaml", "deploy/a.yaml", "deploy/b.yaml", "deploy/prod/c.yaml", "docs/readme.md"}},
		"empty":            {"no rule is no rule", nil, text("\n# nothing\n"), []string{"app.yaml", "deploy/a.yaml", "deploy/b.yaml", "deploy/prod/c.yaml", "docs/readme.md"}},
		"spec":             {"rules replace the defaults, but not for Git's own files", nil, text("docs/"), []string{".github/ci.yaml", ".goreleaser.yml", "app.yaml", "deploy/a.yaml", "deploy/b.yaml", "deploy/prod/c.yaml", "logo.png"}},
		"only":             {"all but one directory", nil, text("/*\n!/deploy\n"), []string{"deploy/a.yaml", "deploy/b.yaml", "deploy/prod/c.yaml"}},
		"back in":          {"a file below an ignored directory", nil, text("/*\n!/deploy/prod/c.yaml\n"), []string{"deploy/prod/c.yaml"}},
		"file":             {"a .sourceignore file", map[string]string{".sourceignore": "/docs\n/.*\n*.png\n"}, nil, []string{"app.yaml", "deploy/a.yaml", "deploy/b.yaml", "deploy/prod/c.yaml"}},
		"nested file":      {"a .sourceignore file rules its directory", map[string]string{"deploy/.sourceignore": "/*.yaml\n.sourceignore\n"}, text("docs/\n.github/\n.gor*\n*.png"), []string{"app.yaml", "deploy/prod/c.yaml"}},
		"nested over root": {"the rules of a directory below count more, whatever its name", map[string]string{".sourceignore": "*.yaml\n", "!a/.sourceignore": "!x.yaml\n", "!a/x.yaml": "x"}, text(".sourceignore\n.gor*\n*.png\n*.md"), []string{"!a/x.yaml"}},
		"spec over file":   {"spec.ignore has the last word", map[string]string{".sourceignore": "/*\n"}, text("!app.yaml"), []string{"app.yaml"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			for _, f := range tree {
				r.write(f, f)
			}
			for f, content := range tc.files {
				r.write(f, content)
			}
			r.commit("all")
			g, _ := newGit(t, source.AllowFile())
			got := paths(t, fetch(t, g, source.GitRequest{URL: "file://" + r.tree(), Ref: branch("main"), Ignore: tc.ignore}))
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s: %s", tc.reason, d)
			}
		})
	}
}

func TestTooManyIgnoreRules(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	g, _ := newGit(t, source.AllowFile())
	for name, text := range map[string]string{"patterns": strings.Repeat("a\n", 3000), "bytes": strings.Repeat("#\n", 1<<20), "line": strings.Repeat("a", 1<<17)} {
		err := fails(t, g, source.GitRequest{URL: "file://" + r.tree(), Ref: branch("main"), Ignore: &text})
		var limit *source.LimitError
		if name != "line" && !errors.As(err, &limit) || !strings.Contains(err.Error(), "spec.ignore") {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.commitFile("sub/.sourceignore", strings.Repeat("#\n", 1<<20))
	if err := fails(t, g, source.GitRequest{URL: "file://" + r.tree(), Ref: branch("main")}); !strings.Contains(err.Error(), "sub/.sourceignore") {
		t.Errorf("got %v", err)
	}
}

func TestSubmodulesAreEmpty(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "x")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",vendor")
	r.git("commit", "-q", "-m", "submodule")
	g, _ := newGit(t, source.AllowFile())
	got := paths(t, fetch(t, g, source.GitRequest{URL: "file://" + r.tree(), Ref: branch("main")}))
	if d := cmp.Diff([]string{"f"}, got); d != "" {
		t.Error(d)
	}
}

func TestUnsupported(t *testing.T) {
	cases := map[string]sourcev1.GitRepositorySpec{
		"spec.provider":           {Provider: sourcev1.GitProviderAzure},
		"spec.serviceAccountName": {ServiceAccountName: "x"},
	}
	for field, spec := range cases {
		err := source.Unsupported(spec)
		if reason(err) != source.ReasonUnsupportedField || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, provider := range []string{"", "generic", "github"} {
		if err := source.Unsupported(sourcev1.GitRepositorySpec{Provider: provider, SecretRef: &meta.LocalObjectReference{Name: "x"}}); err != nil {
			t.Error(err)
		}
	}
	if err := source.Unsupported(sourcev1.GitRepositorySpec{Provider: "github"}); reason(err) != source.ReasonProviderInvalid {
		t.Errorf("an app without a key: %v", err)
	}
}
