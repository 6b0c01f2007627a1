package source_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
)

// smallDisk is a file system of a megabyte, where the test may mount one.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDisk is told by its name, harms nothing that is stored, and is over when there is space again.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	now := time.Now()
	store, err := source.NewStore(filepath.Join(dir, "store"), source.WithClock(func() time.Time { return now }))
	must(t, err)
	g := source.NewGit(store)
	t.Cleanup(g.Close)
	r := newRepo(t)
	r.commitFile("a.yaml", "1")
	s := serve(t, r)
	req := source.GitRequest{URL: s.repoURL(), Ref: branch("main")}
	before := fetch(t, g, req)

	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk must be full: %v", err)
	}
	r.commitFile("b.yaml", strings.Repeat("x", 20<<10))
	for range 3 {
		var typed *source.Error
		if err := fails(t, g, req); !errors.As(err, &typed) || typed.Reason != source.ReasonStorageOperationFailed || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v (%+v), want %s", err, typed, source.ReasonStorageOperationFailed)
		}
	}
	if read(t, before, "a.yaml") != "1" {
		t.Error("what was stored must stay readable")
	}
	must(t, store.Retain(before.Digest()))

	must(t, os.Remove(filler))
	after := fetch(t, g, req)
	if after.Digest() == before.Digest() {
		t.Error("the new commit isn't there")
	}
	now = now.Add(time.Hour)
	must(t, store.Retain(after.Digest()))
	if _, ok := store.Get(before.Digest()); ok {
		t.Error("what nobody needs is still there")
	}
}
