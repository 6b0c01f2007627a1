package lockfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/lockfile"
)

func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "lock")
	var (
		inside sync.Mutex
		all    sync.WaitGroup
	)
	for i := range 8 {
		all.Go(func() {
			lock, err := lockfile.Acquire(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if !inside.TryLock() {
				t.Error("two hold the lock at the same time")
				return
			}
			inside.Unlock()
			if i%2 == 0 {
				lock.Remove()
			} else {
				lock.Release()
			}
		})
	}
	all.Wait()
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := lockfile.Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lockfile.Acquire(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := lockfile.Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	lock.Remove()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}
