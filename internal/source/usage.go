package source

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Usage is what the store takes, in bytes. Below 0: that isn't known here.
type Usage struct {
	// Stored is the sum of the store's files.
	Stored int64
	// Free is what is left on the store's file system for whoever isn't root, Capacity how large that is.
	Free, Capacity int64
}

// measureAgain is the shortest time between two walks through the store's files: a large store has a hundred thousand.
const measureAgain = time.Minute

// usage is the last measurement.
type usage struct {
	changed atomic.Bool // something was written or removed since

	mu     sync.Mutex
	at     time.Time // zero: never
	stored int64
}

// Usage returns what the store takes. Its files are looked at only when some were written or removed since, and at most once a minute.
func (s *Store) Usage() Usage {
	u := &s.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := s.now(); u.at.IsZero() || now.Sub(u.at) >= measureAgain && u.changed.Load() {
		u.changed.Store(false) // before: what comes meanwhile counts for the next time
		u.at, u.stored = now, sizeOf(s.dir)
	}
	free, capacity := space(s.dir)
	return Usage{Stored: u.stored, Free: free, Capacity: capacity}
}

// sizeOf sums the files below a folder, or returns -1. What goes away meanwhile counts for nothing.
func sizeOf(dir string) (sum int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		return -1
	}
	return sum
}
