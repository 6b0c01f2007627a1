package source_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
)

// files lists the regular files below a folder of the store.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, name)
		}
		return err
	}))
	return out
}

func TestRestart(t *testing.T) {
	r := newRepo(t)
	r.write("link-target", "x")
	r.link("link-target", "link")
	r.commitFile("a/f.yaml", "x")
	s := serve(t, r)
	dir := t.TempDir()
	store, err := source.NewStore(dir)
	must(t, err)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	before := fetch(t, source.NewGit(store), req)
	must(t, os.WriteFile(filepath.Join(dir, "tmp", "write-1"), []byte("half"), 0o600))

	store, err = source.NewStore(dir)
	must(t, err)
	after, ok := store.Get(before.Digest())
	if !ok {
		t.Fatal("the snapshot wasn't found again")
	}
	if after.Revision() != before.Revision() || after.Commit() != before.Commit() || after.Size() != before.Size() {
		t.Errorf("found %s %+v %d", after.Revision(), after.Commit(), after.Size())
	}
	want, _ := before.Hash(".")
	if got, _ := after.Hash("."); got != want || read(t, after, "link") != "x" {
		t.Error("the content isn't the same")
	}
	if left := files(t, filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("half-written files are left: %v", left)
	}
	fetched := s.fetched.Load()
	if again := fetch(t, source.NewGit(store), req); again.Digest() != before.Digest() || s.fetched.Load() != fetched {
		t.Error("it was fetched again after the restart")
	}
	r.commitFile("a/f.yaml", "y")
	if next := fetch(t, source.NewGit(store), req); read(t, next, "a/f.yaml") != "y" {
		t.Error("a new commit isn't there")
	}
}

func TestDamageIsFoundAndMended(t *testing.T) {
	damage := map[string]func(t *testing.T, dir string){
		"blob changed": func(t *testing.T, dir string) {
			for _, f := range files(t, filepath.Join(dir, "blobs")) {
				must(t, os.WriteFile(f, []byte("evil"), 0o600))
			}
		},
		"blob cut off": func(t *testing.T, dir string) {
			for _, f := range files(t, filepath.Join(dir, "blobs")) {
				must(t, os.Truncate(f, 1))
			}
		},
		"blob gone": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "blobs")))
		},
		"manifest changed": func(t *testing.T, dir string) {
			for _, f := range files(t, filepath.Join(dir, "snapshots")) {
				data, err := os.ReadFile(f)
				must(t, err)
				must(t, os.WriteFile(f, []byte(strings.Replace(string(data), "f.yaml", "g.yaml", 1)), 0o600))
			}
		},
		"mirror's pack changed, blobs gone": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "blobs")))
			for _, f := range files(t, filepath.Join(dir, "mirrors")) {
				if strings.HasSuffix(f, ".pack") {
					data, err := os.ReadFile(f)
					must(t, err)
					for i := 20; i < len(data); i++ {
						data[i] ^= 0x55
					}
					must(t, os.Chmod(f, 0o600))
					must(t, os.WriteFile(f, data, 0o600))
				}
			}
		},
		"mirror's packs gone, snapshots gone": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "snapshots")))
			mirrors, err := filepath.Glob(filepath.Join(dir, "mirrors", "*", "objects"))
			must(t, err)
			for _, m := range mirrors {
				must(t, os.RemoveAll(m))
			}
		},
		"mirror's state changed, snapshots gone": func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "snapshots")))
			states, err := filepath.Glob(filepath.Join(dir, "mirrors", "*", "mirror.json"))
			must(t, err)
			for _, m := range states {
				must(t, os.WriteFile(m, []byte("{"), 0o600))
			}
		},
	}
	for name, harm := range damage {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/restart=%v", name, restart), func(t *testing.T) {
				r := newRepo(t)
				r.commitFile("f.yaml", "good")
				s := serve(t, r)
				dir := t.TempDir()
				store, err := source.NewStore(dir)
				must(t, err)
				g := source.NewGit(store)
				req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
				snap := fetch(t, g, req)
				harm(t, dir)
				if restart {
					store, err = source.NewStore(dir)
					must(t, err)
					g = source.NewGit(store)
				}
				if found, ok := store.Get(snap.Digest()); ok {
					if got, err := fs.ReadFile(found.FS(), "f.yaml"); err == nil && string(got) != "good" || err != nil && !errors.Is(err, source.ErrDamaged) {
						t.Errorf("damaged content was read: %q, %v", got, err)
					}
				}
				mended, err := g.Fetch(t.Context(), req, snap.Revision())
				must(t, err)
				if got := read(t, mended, "f.yaml"); got != "good" || mended.Digest() != snap.Digest() {
					t.Errorf("after the next fetch: %q", got)
				}
			})
		}
	}
}

func TestDamagedArchiveIsNotServedAsWhole(t *testing.T) {
	r := newRepo(t)
	dir := t.TempDir()
	store, err := source.NewStore(dir)
	must(t, err)
	snap := local(t, source.NewGit(store, source.AllowFile()), r, func() { r.write("a", "good") })
	s := httptest.NewServer(source.Handler(store))
	t.Cleanup(s.Close)
	for _, f := range files(t, filepath.Join(dir, "blobs")) {
		must(t, os.WriteFile(f, []byte("evil"), 0o600))
	}
	resp, err := s.Client().Get(s.URL + "/" + source.ArtifactPath("GitRepository", "a", "b", snap.Digest()))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("a damaged archive was served to its end")
	}
	if err := snap.WriteArchive(io.Discard); !errors.Is(err, source.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestRetain(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	r, other := newRepo(t), newRepo(t)
	r.write("shared", "shared")
	r.commitFile("f", "one")
	other.write("shared", "shared")
	other.commitFile("f", "other")
	s, so := serve(t, r), serve(t, other)
	dir := t.TempDir()
	store, err := source.NewStore(dir, source.WithClock(clock), source.WithGrace(time.Minute))
	must(t, err)
	g := source.NewGit(store)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	one := fetch(t, g, req)
	fetch(t, g, source.GitRequest{URL: so.repoURL(), Ref: branch("main")})
	r.commitFile("f", "two")
	two := fetch(t, g, req)
	if got := len(files(t, filepath.Join(dir, "blobs"))); got != 4 {
		t.Errorf("%d blobs, want 4: shared, one, two, other", got)
	}

	must(t, store.Retain(two.Digest()))
	if _, ok := store.Get(one.Digest()); !ok {
		t.Error("a snapshot went within its grace")
	}
	pass(2 * time.Minute)
	must(t, store.Retain(two.Digest()))
	if _, ok := store.Get(one.Digest()); ok {
		t.Error("a snapshot that isn't named is still there")
	}
	if _, err := fs.ReadFile(one.FS(), "f"); !errors.Is(err, source.ErrDamaged) {
		t.Errorf("reading a snapshot that went: %v", err)
	}
	if got := len(files(t, filepath.Join(dir, "blobs"))); got != 2 {
		t.Errorf("%d blobs, want 2: shared, two", got)
	}
	mirrors, err := filepath.Glob(filepath.Join(dir, "mirrors", "*"))
	must(t, err)
	if len(mirrors) != 1 {
		t.Errorf("%d mirrors, want 1", len(mirrors))
	}
	if read(t, two, "f") != "two" || read(t, two, "shared") != "shared" {
		t.Error("the retained snapshot lost content")
	}
	r.commitFile("f", "one")
	if got := read(t, fetch(t, g, req), "f"); got != "one" {
		t.Errorf("content %q after collection", got)
	}
	pass(2 * time.Minute)
	must(t, store.Retain())
	if left := append(files(t, filepath.Join(dir, "blobs")), files(t, filepath.Join(dir, "mirrors"))...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestGetRefusesWhatIsNoDigest(t *testing.T) {
	_, store := newGit(t)
	for _, d := range []string{"", "sha256:", "sha256:../../x", "sha256:" + strings.Repeat("AB", 32), strings.Repeat("ab", 32), "sha256:" + strings.Repeat("ab", 32)} {
		if _, ok := store.Get(d); ok {
			t.Errorf("%q was found", d)
		}
	}
}

func TestStoreNeedsAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := source.NewStore(filepath.Join(file, "store")); reason(err) != source.ReasonStorageOperationFailed {
		t.Errorf("got %v", err)
	}
}

// Fetching, reading and collecting at once must neither race nor lose content
// that somebody was just handed.
func TestConcurrentUse(t *testing.T) {
	r := newRepo(t)
	r.commitFile("f", "0")
	s := serve(t, r)
	g, store := newGit(t)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for i := range 3 {
		workers.Go(func() {
			ignore := strings.Repeat("x", i+1)
			previous := ""
			for {
				select {
				case <-stop:
					return
				default:
				}
				snap, err := g.Fetch(t.Context(), source.GitRequest{URL: s.repoURL(), Ref: branch("main"), Ignore: &ignore}, previous)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := fs.ReadFile(snap.FS(), "f"); err != nil {
					t.Error(err)
				}
				previous = snap.Revision()
				if err := store.Retain(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 10 {
		r.commitFile("f", fmt.Sprint(i))
	}
	close(stop)
	workers.Wait()
}
