package source

import (
	"strings"
	"testing"
	"time"
)

// What a large checkout or a collection holds must not keep others from what is there.
func TestGetIsNotHeldUp(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := NewStore(t.TempDir(), WithClock(func() time.Time { return now }), WithGrace(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	d := s.NewDraft(Limits{})
	if err := d.File(t.Context(), "a.yaml", 0o644, "", strings.NewReader("a")); err != nil {
		t.Fatal(err)
	}
	snap, err := d.Snapshot("r1")
	if err != nil {
		t.Fatal(err)
	}
	d.Discard()
	s.gc.Lock()
	if _, ok := s.Get(snap.Digest()); !ok {
		t.Error("a snapshot that is whole was not found")
	}
	s.gc.Unlock()

	// Handed out after it was decided to drop it.
	now = now.Add(time.Hour)
	keep := s.kept(nil)
	if _, ok := s.Get(snap.Digest()); !ok {
		t.Fatal("it is still there")
	}
	if _, err := s.dropSnapshots(keep); err != nil {
		t.Fatal(err)
	}
	if err := s.dropBlobs(keep); err != nil {
		t.Fatal(err)
	}
	if !s.complete(snap.tree.root) || !keep[snap.Digest()] {
		t.Error("a snapshot went that was just handed out")
	}
}
