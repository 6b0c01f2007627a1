package source_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
)

// TestUsage follows what is stored and removed, a minute late at most.
func TestUsage(t *testing.T) {
	now := time.Now()
	store, err := source.NewStore(t.TempDir(), source.WithClock(func() time.Time { return now }), source.WithGrace(time.Second))
	must(t, err)
	empty := store.Usage()
	if empty.Stored != 0 || empty.Free == 0 || empty.Capacity < empty.Free {
		t.Errorf("an empty store on this disk: %+v", empty)
	}
	const size = 1 << 20
	draft := store.NewDraft(source.Limits{})
	t.Cleanup(draft.Discard)
	must(t, draft.File(t.Context(), "big", 0o644, "", bytes.NewReader(make([]byte, size))))
	_, err = draft.Snapshot("v1")
	must(t, err)
	draft.Discard()
	for _, step := range []struct {
		reason string
		do     func()
		least  int64
		most   int64
	}{
		{"within a minute the files are not looked at again", func() { now = now.Add(time.Second) }, 0, 0},
		{"after it they are", func() { now = now.Add(time.Minute) }, size, size + size/10},
		{"what is collected no longer counts", func() { must(t, store.Retain()); now = now.Add(time.Minute) }, 0, size / 10},
	} {
		step.do()
		if got := store.Usage().Stored; got < step.least || got > step.most {
			t.Errorf("%s: %d bytes, want %d to %d", step.reason, got, step.least, step.most)
		}
	}
}
