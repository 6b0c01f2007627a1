package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/internal/source"
)

// local commits what change did and returns the snapshot of main.
func local(t testing.TB, g *source.Git, r *repo, change func()) *source.Snapshot {
	t.Helper()
	change()
	r.commit("change")
	return fetch(t, g, source.GitRequest{URL: "file://" + r.tree(), Ref: branch("main")})
}

func (r *repo) link(target, name string) {
	r.t.Helper()
	full := filepath.Join(r.tree(), name)
	must(r.t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(r.t, os.Symlink(target, full))
}

func TestFSIsAFileSystem(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	snap := local(t, g, r, func() {
		r.write("README.md", "hello")
		r.write("empty", "")
		r.write("a-b/c.yaml", "c")
		r.write("a/b/d.yaml", "d")
		r.write("a.yaml", "a")
		r.write("bin/run", "#!/bin/sh\n")
		must(t, os.Chmod(filepath.Join(r.tree(), "bin/run"), 0o755))
		r.link("../a/b", "links/dir")
		r.link("../README.md", "links/file")
	})
	if err := fstest.TestFS(snap.FS(), "README.md", "empty", "a-b/c.yaml", "a/b/d.yaml", "a.yaml", "links/file", "links/dir"); err != nil {
		t.Error(err)
	}
	info, err := fs.Stat(snap.FS(), "bin/run")
	must(t, err)
	if info.Mode() != 0o555 {
		t.Errorf("mode %v of an executable", info.Mode())
	}
}

func TestLinks(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	snap := local(t, g, r, func() {
		r.write("base/app.yaml", "app")
		r.link("../base", "overlay/base")
		r.link("base/app.yaml", "app")
		r.link("app", "app2")
		r.link("../outside", "up")
		r.link("overlay/../../etc/passwd", "sly")
		r.link("/etc/passwd", "abs")
		r.link("nothing", "dangling")
		r.link("loop2", "loop1")
		r.link("loop1", "loop2")
		r.link("overlay/base/../base/app.yaml", "winding")
	})
	cases := map[string]struct {
		want string
		err  error
	}{
		"app":                        {"app", nil},
		"app2":                       {"app", nil},
		"overlay/base/app.yaml":      {"app", nil},
		"winding":                    {"app", nil},
		"up":                         {"", source.ErrEscapes},
		"sly":                        {"", source.ErrEscapes},
		"abs":                        {"", source.ErrEscapes},
		"dangling":                   {"", fs.ErrNotExist},
		"base/app.yaml/more":         {"", fs.ErrNotExist},
		"../base/app.yaml":           {"", fs.ErrInvalid},
		"/base/app.yaml":             {"", fs.ErrInvalid},
		"overlay/base/../x/app.yaml": {"", fs.ErrInvalid},
	}
	for name, tc := range cases {
		got, err := fs.ReadFile(snap.FS(), name)
		if string(got) != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %q, %v; want %q, %v", name, got, err, tc.want, tc.err)
		}
		if _, err := snap.FS().Open(name); !errors.Is(err, tc.err) {
			t.Errorf("open %s: %v, want %v", name, err, tc.err)
		}
		if _, ok := snap.Hash(name); ok != (tc.err == nil) && fs.ValidPath(name) {
			t.Errorf("hash %s: %v", name, ok)
		}
	}
	if _, err := fs.ReadFile(snap.FS(), "loop1"); err == nil {
		t.Error("a loop was read")
	}
	if target, err := fs.ReadLink(snap.FS(), "up"); err != nil || target != "../outside" {
		t.Errorf("readlink: %q, %v", target, err)
	}
	if _, err := fs.ReadLink(snap.FS(), "base/app.yaml"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("readlink of a file: %v", err)
	}
	if _, err := fs.ReadDir(snap.FS(), "base/app.yaml"); err == nil {
		t.Error("a file was listed")
	}
	if _, err := fs.ReadFile(snap.FS(), "base"); err == nil {
		t.Error("a directory was read")
	}
}

func TestHashTellsWhatChanged(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	one := local(t, g, r, func() {
		r.write("a/x.yaml", "1")
		r.write("b/y.yaml", "1")
		r.write("c/z.yaml", "1")
		r.link("../../c/z.yaml", "b/sub/z.yaml")
		r.link("../b", "d/b")
	})
	hashes := func(s *source.Snapshot) map[string]string {
		out := map[string]string{}
		for _, p := range []string{".", "a", "a/x.yaml", "b", "b/sub/z.yaml", "c", "d", "d/b/y.yaml", "absent"} {
			out[p], _ = s.Hash(p)
		}
		return out
	}
	changed := func(from, to *source.Snapshot) []string {
		var out []string
		a, b := hashes(from), hashes(to)
		for _, p := range []string{".", "a", "a/x.yaml", "b", "b/sub/z.yaml", "c", "d", "d/b/y.yaml", "absent"} {
			if a[p] != b[p] {
				out = append(out, p)
			}
		}
		return out
	}
	two := local(t, g, r, func() { r.write("a/x.yaml", "2") })
	if d := cmp.Diff([]string{".", "a", "a/x.yaml"}, changed(one, two)); d != "" {
		t.Error("a file changed:", d)
	}
	// What a link leads to counts for everything that can reach it.
	three := local(t, g, r, func() { r.write("c/z.yaml", "3") })
	if d := cmp.Diff([]string{".", "b", "b/sub/z.yaml", "c", "d"}, changed(two, three)); d != "" {
		t.Error("a link's target changed:", d)
	}
	four := local(t, g, r, func() { must(t, os.Rename(filepath.Join(r.tree(), "a/x.yaml"), filepath.Join(r.tree(), "a/w.yaml"))) })
	if d := cmp.Diff([]string{".", "a", "a/x.yaml"}, changed(three, four)); d != "" {
		t.Error("a file was renamed:", d)
	}
	five := local(t, g, r, func() { must(t, os.Chmod(filepath.Join(r.tree(), "a/w.yaml"), 0o755)) })
	if d := cmp.Diff([]string{".", "a"}, changed(four, five)); d != "" {
		t.Error("a file became executable:", d)
	}
	if _, ok := five.Hash("absent"); ok {
		t.Error("an absent path has a hash")
	}
	if a, _ := five.Hash("a/"); a == "" {
		t.Error("a path isn't cleaned")
	}
}

func archive(t testing.TB, s *source.Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, s.WriteArchive(&b))
	return b.Bytes()
}

func TestArchive(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	long := strings.Repeat("long-name/", 15) + "file.yaml"
	snap := local(t, g, r, func() {
		r.write("b.yaml", "b")
		r.write("a/ü.yaml", strings.Repeat("big ", 40_000))
		r.write(long, "long")
		r.write("run", "x")
		must(t, os.Chmod(filepath.Join(r.tree(), "run"), 0o700))
		r.link("b.yaml", "link.yaml")
	})
	data := archive(t, snap)
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); snap.Digest() != want || snap.Size() != int64(len(data)) {
		t.Errorf("digest %s, size %d; want %s, %d", snap.Digest(), snap.Size(), want, len(data))
	}
	if !bytes.Equal(data, archive(t, snap)) {
		t.Error("the second archive differs from the first")
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	must(t, err)
	got := map[string]string{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		content, err := io.ReadAll(tr)
		must(t, err)
		if !h.FileInfo().Mode().IsRegular() || h.Uid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("header %+v", h)
		}
		got[h.Name] = fmt.Sprintf("%o %d", h.Mode, len(content))
	}
	want := map[string]string{"a/ü.yaml": "644 160000", "b.yaml": "644 1", long: "644 4", "run": "755 1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The digest must not move under the feet of those who have recorded it.
func TestArchiveDigestIsStable(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	snap := local(t, g, r, func() {
		r.write("deploy/app.yaml", "replicas: 1\n")
		r.write("kustomization.yaml", "resources: [deploy/app.yaml]\n")
	})
	const want = "sha256:ff1a9eb9c1dbad13e4fc56316d17de828350d470c3ae0350b86c76c3cad688dc"
	if snap.Digest() != want {
		t.Errorf("digest %s, want %s", snap.Digest(), want)
	}
}

func TestLinksCountForTheDigest(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	one := local(t, g, r, func() { r.write("a", "a"); r.write("b", "b"); r.link("a", "c") })
	two := local(t, g, r, func() { must(t, os.Remove(filepath.Join(r.tree(), "c"))); r.link("b", "c") })
	if one.Digest() == two.Digest() {
		t.Error("another link, the same digest")
	}
	if read(t, one, "c") != "a" || read(t, two, "c") != "b" {
		t.Error("the links were mixed up")
	}
}

func TestSameContentSameDigest(t *testing.T) {
	r := newRepo(t)
	g, _ := newGit(t, source.AllowFile())
	one := local(t, g, r, func() { r.write("a", "a") })
	two := local(t, g, r, func() {})
	if one.Digest() != two.Digest() || one.Revision() == two.Revision() {
		t.Errorf("%s %s and %s %s", one.Revision(), one.Digest(), two.Revision(), two.Digest())
	}
	if got := one.At("main@sha1:x").Revision(); got != "main@sha1:x" {
		t.Errorf("revision %s", got)
	}
}

func TestHandler(t *testing.T) {
	r := newRepo(t)
	g, store := newGit(t, source.AllowFile())
	snap := local(t, g, r, func() { r.write("a", "a") })
	s := httptest.NewServer(source.Handler(store))
	t.Cleanup(s.Close)
	path := "/" + source.ArtifactPath("GitRepository", "team", "shop", snap.Digest())
	cases := map[string]struct {
		method, path, match string
		want, size          int
	}{
		"get":          {http.MethodGet, path, "", http.StatusOK, int(snap.Size())},
		"head":         {http.MethodHead, path, "", http.StatusOK, 0},
		"cached":       {http.MethodGet, path, `"` + snap.Digest() + `"`, http.StatusNotModified, 0},
		"unknown":      {http.MethodGet, "/gitrepository/team/shop/" + strings.Repeat("ab", 32) + ".tar.gz", "", http.StatusNotFound, 19},
		"not a digest": {http.MethodGet, "/gitrepository/team/shop/..%2f..%2fx.tar.gz", "", http.StatusNotFound, 19},
		"no suffix":    {http.MethodGet, strings.TrimSuffix(path, ".tar.gz"), "", http.StatusNotFound, 19},
		"listing":      {http.MethodGet, "/gitrepository/team/shop/", "", http.StatusNotFound, 19},
		"post":         {http.MethodPost, path, "", http.StatusMethodNotAllowed, 19},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, s.URL+tc.path, nil)
			must(t, err)
			req.Header.Set("If-None-Match", tc.match)
			resp, err := s.Client().Do(req)
			must(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			must(t, err)
			if resp.StatusCode != tc.want || (tc.want != http.StatusMethodNotAllowed && len(body) != tc.size) {
				t.Errorf("%s with %d bytes", resp.Status, len(body))
			}
			if name == "get" && fmt.Sprintf("sha256:%x", sha256.Sum256(body)) != snap.Digest() {
				t.Error("the body doesn't have the digest")
			}
		})
	}
}
