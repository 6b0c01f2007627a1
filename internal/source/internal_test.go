package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A run that everybody left is cancelled; one that somebody waits for isn't.
func TestFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flights{byKey: map[string]*flight{}}
		runs, cancelled := 0, 0
		began := time.Now()
		run := func(ctx context.Context) (*Snapshot, time.Time, error) {
			runs++
			select {
			case <-ctx.Done():
				cancelled++
				return nil, began, ctx.Err()
			case <-time.After(time.Minute):
				return &Snapshot{}, began, nil
			}
		}
		results := make(chan error, 3)
		wait := func(timeout time.Duration) {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := f.do(ctx, "key", began, run)
				results <- err
			}()
		}
		wait(time.Second)
		wait(time.Hour)
		synctest.Wait()
		if err := <-results; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the impatient one got %v", err)
		}
		if err := <-results; err != nil || runs != 1 || cancelled != 0 {
			t.Errorf("the patient one got %v after %d runs, %d cancelled", err, runs, cancelled)
		}
		wait(time.Second)
		if err := <-results; !errors.Is(err, context.DeadlineExceeded) || cancelled != 1 {
			t.Errorf("alone, impatient: %v, %d cancelled", err, cancelled)
		}
		if len(f.byKey) > 0 {
			t.Error("a run is left behind")
		}
		_, err := f.do(t.Context(), "key", began, func(context.Context) (*Snapshot, time.Time, error) { panic("hostile input") })
		if err == nil || !strings.Contains(err.Error(), "hostile input") {
			t.Errorf("a panic became %v", err)
		}
	})
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &turns{byKey: map[string]*turn{}}
		end, err := turns.take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.take(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second turn at the same time: %v", err)
		}
		other, err := turns.take(t.Context(), "b")
		if err != nil {
			t.Errorf("another key's turn: %v", err)
		}
		other()
		end()
		if len(turns.byKey) > 0 {
			t.Error("a turn is left behind")
		}
	})
}

func testStore(t testing.TB) *Store {
	t.Helper()
	s, err := NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMirrorIsEmptiedWhenItGrows(t *testing.T) {
	s := testStore(t)
	m := s.mirror("key")
	defer s.release(m)
	if err := os.MkdirAll(m.packDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	m.state.Tips = []string{strings.Repeat("ab", 20)}
	h := m.have()
	if len(h.tips) != 1 {
		t.Fatalf("a small mirror tells %d tips", len(h.tips))
	}
	for i := range maxPacks + 1 {
		if err := os.WriteFile(filepath.Join(m.packDir(), fmt.Sprintf("%d.pack", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if after := m.have(); len(after.tips) > 0 || after.generation == h.generation {
		t.Error("a mirror with too many packs wasn't emptied")
	}
	// Whoever asked before it was emptied must not add to it.
	if ok, err := m.install(s, &pack{}, h); ok || err != nil {
		t.Errorf("an incremental pack was added to an empty mirror: %v, %v", ok, err)
	}
}

func TestProofsAreBounded(t *testing.T) {
	g := NewGit(testStore(t))
	for i := range maxProofs + 1 {
		g.prove(fmt.Sprint(i))
	}
	if len(g.proofs) > maxProofs || !g.proven(fmt.Sprint(maxProofs)) {
		t.Errorf("%d proofs", len(g.proofs))
	}
}

func TestTransportsAreBounded(t *testing.T) {
	g := NewGit(testStore(t))
	for i := range maxTransports * 2 {
		g.transports.get(Auth{tlsID: fmt.Sprint(i)}, Proxy{})
	}
	if n := len(g.transports.byID); n > maxTransports {
		t.Errorf("%d transports", n)
	}
	first := g.transports.get(Auth{tlsID: "a"}, Proxy{})
	if again := g.transports.get(Auth{tlsID: "a"}, Proxy{}); again != first {
		t.Error("connections aren't used again")
	}
	g.Close()
}

func TestReadOnlyStore(t *testing.T) {
	s := testStore(t)
	if err := os.RemoveAll(filepath.Join(s.dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	var typed *Error
	if _, err := s.writeBlob([]byte("x")); !errors.As(err, &typed) || typed.Reason != ReasonStorageOperationFailed {
		t.Errorf("got %v", err)
	}
	if _, err := s.receivePack(strings.NewReader(""), Limits{}.withDefaults()); !errors.As(err, &typed) {
		t.Errorf("got %v", err)
	}
}

func TestNewTreeRefusals(t *testing.T) {
	for name, paths := range map[string][]string{
		"twice": {"a", "a"}, "below a file": {"a", "a/b"}, "out": {"../a"}, "absolute": {"/a"}, "root": {"."}, "empty": {""},
	} {
		var entries []entry
		for _, p := range paths {
			entries = append(entries, entry{path: p, kind: kindFile})
		}
		if _, err := newTree(entries); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestQuote(t *testing.T) {
	err := quote(errors.New("get https://ada:hunter2@x: \x1b[31mno\n"+strings.Repeat("long ", 200)), []string{"hunter2"})
	if text := err.Error(); strings.Contains(text, "hunter2") || strings.ContainsAny(text, "\n\x1b") || len(text) > 2*maxQuoted {
		t.Errorf("got %q", text)
	}
	if err := quote(fmt.Errorf("abc: %w", io.EOF), []string{"b"}); strings.Contains(err.Error(), "abc") || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
