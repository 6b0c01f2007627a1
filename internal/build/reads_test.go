package build

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// mutable is a tree that a test can change and copy.
func mutable(t testing.TB, fsys fs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func with(files map[string]string, change func(map[string]string)) Tree {
	changed := map[string]string{}
	for name, content := range files {
		changed[name] = content
	}
	change(changed)
	return tree(changed)
}

func TestReadsTellRelevantChanges(t *testing.T) {
	files := map[string]string{
		"app/kustomization.yaml":  "resources: [../base, x.yaml]\nconfigMapGenerator: [{name: c, files: [conf/c.txt]}]\n",
		"app/x.yaml":              configMap("x"),
		"app/conf/c.txt":          "c",
		"app/conf/unused.txt":     "u",
		"app/README.md":           "readme",
		"base/kustomization.yaml": "resources: [link.yaml]\n",
		"base/link.yaml":          "-> ../shared/y.yaml",
		"shared/y.yaml":           configMap("y"),
		"plain/a.yaml":            configMap("a"),
		"plain/sub/b.yml":         configMap("b"),
		"plain/notes.txt":         "n",
		"other/z.yaml":            configMap("z"),
	}
	cases := map[string]struct {
		reason string
		path   string
		change func(map[string]string)
		same   bool
	}{
		"Nothing":             {"an equal tree", "app", func(map[string]string) {}, true},
		"OtherFolder":         {"a change elsewhere", "app", func(f map[string]string) { f["other/z.yaml"] = "!" }, true},
		"FileNotNamed":        {"a file that no one names", "app", func(f map[string]string) { f["app/README.md"] = "!" }, true},
		"NewFileNotNamed":     {"a new file that no one names", "app", func(f map[string]string) { f["app/new.yaml"] = "!" }, true},
		"UnusedBesideUsed":    {"a file beside one that is read", "app", func(f map[string]string) { delete(f, "app/conf/unused.txt") }, true},
		"ReadFile":            {"a file that is read", "app", func(f map[string]string) { f["app/x.yaml"] = configMap("x2") }, false},
		"GeneratorFile":       {"a generator's file", "app", func(f map[string]string) { f["app/conf/c.txt"] = "d" }, false},
		"BaseKustomization":   {"a base", "app", func(f map[string]string) { f["base/kustomization.yaml"] += "namePrefix: p\n" }, false},
		"LinkTargetContent":   {"what a link points to", "app", func(f map[string]string) { f["shared/y.yaml"] = configMap("y2") }, false},
		"LinkTarget":          {"where a link points", "app", func(f map[string]string) { f["base/link.yaml"] = "-> ../other/z.yaml" }, false},
		"LinkBecomesFile":     {"a link that becomes a file", "app", func(f map[string]string) { f["base/link.yaml"] = configMap("y") }, false},
		"FileBecomesLink":     {"a file that becomes a link", "app", func(f map[string]string) { f["app/x.yaml"] = "-> ../other/z.yaml" }, false},
		"FileGone":            {"a file that goes", "app", func(f map[string]string) { delete(f, "app/x.yaml") }, false},
		"SecondKustomization": {"a second kustomization file appears", "app", func(f map[string]string) { f["base/Kustomization"] = "x" }, false},
		"FolderGone": {"the folder goes", "app", func(f map[string]string) {
			for name := range f {
				if strings.HasPrefix(name, "app/") {
					delete(f, name)
				}
			}
		}, false},
		"PlainNew":       {"a new manifest in a folder without kustomization", "plain", func(f map[string]string) { f["plain/sub/c.yaml"] = configMap("c") }, false},
		"PlainNewFolder": {"a new folder there", "plain", func(f map[string]string) { f["plain/new/c.yaml"] = configMap("c") }, false},
		"PlainGone":      {"a manifest goes", "plain", func(f map[string]string) { delete(f, "plain/sub/b.yml") }, false},
		"PlainNotes":     {"a file that is no manifest", "plain", func(f map[string]string) { f["plain/notes.txt"] = "!"; f["plain/more.txt"] = "!" }, true},
		"PlainGetsBase":  {"a kustomization appears below", "plain", func(f map[string]string) { f["plain/sub/Kustomization"] = "resources: [b.yml]\nnamePrefix: p" }, false},
		"PlainGetsRoot":  {"a kustomization appears at the path", "plain", func(f map[string]string) { f["plain/kustomization.yml"] = "resources: [a.yaml]" }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := mustBuild(t, Input{Tree: tree(files), Path: tc.path})
			if same := got.Reads.Same(with(files, tc.change)); same != tc.same {
				t.Errorf("%s: got same=%v, want %v", tc.reason, same, tc.same)
			}
		})
	}
}

func TestReadsOfAFailedBuild(t *testing.T) {
	files := map[string]string{"app/kustomization.yaml": "resources: [gone.yaml]\n", "other.yaml": configMap("o")}
	_, err := New().Build(context.Background(), Input{Tree: tree(files), Path: "app"})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("want an *Error, got %v", err)
	}
	if !e.Reads.Same(with(files, func(f map[string]string) { f["other.yaml"] = "!" })) {
		t.Error("a change elsewhere cannot mend the build")
	}
	if e.Reads.Same(with(files, func(f map[string]string) { f["app/gone.yaml"] = configMap("a") })) {
		t.Error("the missing file has come: the build may succeed")
	}
}

// What a link leads to may be copied to its place, with equal hashes; but what is
// found there counts its own paths from another folder then.
func TestReadsSeeALinkedFolderThatBecomesACopy(t *testing.T) {
	files := map[string]string{
		"env":                                "-> clusters/eu/one",
		"clusters/eu/one/kustomization.yaml": "resources: [../a.yaml]\n",
		"clusters/eu/a.yaml":                 configMap("a"),
		"a.yaml":                             configMap("other"),
	}
	got := mustBuild(t, Input{Tree: linksAsContent{tree(files)}, Path: "env"})
	copied := with(files, func(f map[string]string) {
		delete(f, "env")
		f["env/kustomization.yaml"] = f["clusters/eu/one/kustomization.yaml"]
	})
	if got.Reads.Same(linksAsContent{copied}) {
		t.Error("the build gives something else now")
	}
}

// linksAsContent is a tree whose hashes count links with what they lead to.
type linksAsContent struct{ Tree }

func (l linksAsContent) Hash(name string) (string, bool) {
	if name == "." {
		return "equal", true
	}
	return l.Tree.Hash(name)
}

func TestReadsListPaths(t *testing.T) {
	got := mustBuild(t, Input{Tree: tree(map[string]string{"a/b.yaml": configMap("b"), "c.yaml": "x"}), Path: "a"})
	want := []string{".", "a", "a/Kustomization", "a/b.yaml", "a/kustomization.yaml", "a/kustomization.yml"}
	if diff := cmp.Diff(want, got.Reads.Paths()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// counting counts hash lookups, and can have no hashes for folders.
type counting struct {
	Tree
	lookups   int
	filesOnly bool
}

func (c *counting) Hash(name string) (string, bool) {
	c.lookups++
	if info, err := fs.Stat(c.FS(), name); c.filesOnly && err == nil && info.IsDir() {
		return "", false
	}
	return c.Tree.Hash(name)
}

func TestSameNeedsOneLookupWhenTheFolderIsUnchanged(t *testing.T) {
	files := mutable(t, os.DirFS(corpus))
	got := mustBuild(t, Input{Tree: tree(files), Path: "overlays/target"})
	changed := &counting{Tree: with(files, func(f map[string]string) { f["diamond/app/job.yaml"] = "!" })}
	if !got.Reads.Same(changed) || changed.lookups != 1 {
		t.Errorf("want the same after 1 lookup, took %d", changed.lookups)
	}
}

// Any change of one file must either be seen, or leave the objects as they were; and
// what was seen must be worth it: a change is only reported where something was read.
func TestReadsAgainstRandomChanges(t *testing.T) {
	files := mutable(t, os.DirFS(corpus))
	all := make([]string, 0, len(files))
	for name := range files {
		all = append(all, name)
	}
	slices.Sort(all)
	r := rand.New(rand.NewPCG(1, 2))
	b := New()
	for _, name := range corpusCases(t) {
		in := Input{Tree: tree(files), Path: name + "/target"}
		before := mustBuild(t, in)
		changes := 25
		if strings.HasPrefix(name, "openapi") {
			changes = 4 // these parse their schema each time
		}
		for range changes {
			what := all[r.IntN(len(all))]
			change := randomChange(r, what)
			changed := with(files, change)
			if r.IntN(2) == 0 {
				changed = &counting{Tree: changed, filesOnly: true}
			}
			same := before.Reads.Same(changed)
			after, err := b.Build(context.Background(), Input{Tree: changed, Path: in.Path})
			if same && (err != nil || asYAML(t, before.Objects) != asYAML(t, after.Objects)) {
				t.Fatalf("%s: a change at %s was not seen, but the build differs (error: %v)", name, what, err)
			}
			dir, _, _ := strings.Cut(what, "/")
			if !same && dir != name && (name != "openapi-in-base" || dir != "openapi") {
				t.Errorf("%s: a change at %s cannot matter", name, what)
			}
		}
	}
}

func randomChange(r *rand.Rand, what string) func(map[string]string) {
	switch r.IntN(5) {
	case 0:
		return func(f map[string]string) { delete(f, what) }
	case 1:
		return func(f map[string]string) { f[what] += "\n# x\n" }
	case 2:
		return func(f map[string]string) {
			f[what] = "-> " + strings.Repeat("../", strings.Count(what, "/")) + "overlays/base/service.yaml"
		}
	case 3:
		return func(f map[string]string) { f[what+".yaml"] = configMap("new") }
	default:
		return func(f map[string]string) {
			dir, _, _ := strings.Cut(what, "/target/")
			f[dir+"/target/Kustomization"] = "namePrefix: x\n"
		}
	}
}

func TestTreeOfHashes(t *testing.T) {
	plain := func(files fstest.MapFS) string {
		h, ok := TreeOf(files).Hash(".")
		if !ok {
			t.Fatal("want a hash")
		}
		return h
	}
	one := plain(fstest.MapFS{"a/b": {Data: []byte("x")}})
	for name, other := range map[string]fstest.MapFS{
		"Content": {"a/b": {Data: []byte("y")}},
		"Name":    {"a/c": {Data: []byte("x")}},
		"Link":    {"a/b": {Data: []byte("x"), Mode: fs.ModeSymlink}},
		"More":    {"a/b": {Data: []byte("x")}, "c": {Data: []byte("x")}},
	} {
		if plain(other) == one {
			t.Errorf("%s: two different trees have one hash", name)
		}
	}
	if _, ok := TreeOf(fstest.MapFS{}).Hash("gone"); ok {
		t.Error("want no hash for what is not there")
	}
}
