package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Retain is the garbage collection: snapshots that are not named, by a digest
// that Get knows, go with every blob, alias and mirror that only they needed. What was handed out within the grace
// period stays. A Snapshot that went reads as ErrDamaged.
func (s *Store) Retain(digests ...string) error {
	s.lockToRemove()
	defer s.gc.Unlock()
	keep := s.kept(digests)
	removed, err := s.dropSnapshots(keep)
	if err != nil {
		return err
	}
	if err := s.dropAliases(keep); err != nil {
		return err
	}
	// Blobs without a snapshot only come from removing one, or from a process
	// that was killed while it added one.
	s.mu.Lock()
	sweep := removed || !s.swept
	s.swept = true
	s.mu.Unlock()
	if sweep {
		err = s.dropBlobs(keep)
	}
	// Last, because it also writes: on a full disk that works again now.
	return errors.Join(err, s.dropMirrors(keep))
}

const (
	// yieldFor is how long removing lets go first what is being added, and yieldEach how often it looks whether it may.
	yieldFor  = 30 * time.Second
	yieldEach = 20 * time.Millisecond
)

// lockToRemove takes gc. A lock that is waited for holds up everybody who comes later: one large checkout would then stop all others, so
// that is the last resort.
func (s *Store) lockToRemove() {
	again := time.NewTicker(yieldEach)
	defer again.Stop()
	for range yieldFor / yieldEach {
		if s.gc.TryLock() {
			return
		}
		<-again.C
	}
	s.gc.Lock()
}

func (s *Store) kept(digests []string) map[string]bool {
	keep := map[string]bool{}
	for _, d := range digests {
		keep[d] = true
		for _, key := range []string{archiveKey(d), fileKey(d)} {
			if a, ok := readAlias(s.aliasPath(key)); ok {
				keep[a.Digest] = true
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, at := range s.touched {
		if s.now().Sub(at) < s.grace {
			keep[d] = true
		} else {
			delete(s.touched, d)
		}
	}
	return keep
}

func (s *Store) dropSnapshots(keep map[string]bool) (removed bool, err error) {
	files, err := os.ReadDir(filepath.Join(s.dir, "snapshots"))
	if err != nil {
		return false, storageError(err)
	}
	for _, f := range files {
		digest := "sha256:" + f.Name()
		if keep[digest] {
			continue
		}
		if s.wanted(digest) {
			keep[digest] = true
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir, "snapshots", f.Name())); err != nil {
			return removed, storageError(err)
		}
		removed = true
		s.usage.changed.Store(true)
	}
	return removed, nil
}

// wanted tells whether a snapshot was handed out while it was decided what to remove. If not, it is forgotten.
func (s *Store) wanted(digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.touched[digest]; ok && s.now().Sub(at) < s.grace {
		return true
	}
	delete(s.trees, digest)
	return false
}

// dropBlobs removes blobs that no kept snapshot lists. A manifest that can't be
// read keeps nothing: its snapshot can't be served either.
func (s *Store) dropBlobs(keep map[string]bool) error {
	needed := map[string]bool{}
	for digest := range keep {
		t, err := s.readManifest(digest)
		if err != nil {
			continue
		}
		_ = t.root.walk(func(n *node) error { // The visitor never fails.
			needed[s.blobPath(n.sum)] = true
			return nil
		})
	}
	s.mu.Lock()
	for sum := range s.pins {
		needed[s.blobPath(sum)] = true
	}
	s.mu.Unlock()
	return filepath.WalkDir(filepath.Join(s.dir, "blobs"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || needed[name] {
			return err
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storageError(err)
		}
		return nil
	})
}

// dropMirrors removes mirrors that led to no kept snapshot and that nobody uses.
func (s *Store) dropMirrors(keep map[string]bool) error {
	dirs, err := os.ReadDir(filepath.Join(s.dir, "mirrors"))
	if err != nil {
		return storageError(err)
	}
	needed := map[string]bool{}
	for _, d := range dirs {
		records, err := s.knownMirror(d.Name()).forget(s, keep)
		if err != nil {
			return storageError(err)
		}
		for _, r := range records {
			needed[d.Name()] = true
			for _, mod := range r.Modules {
				needed[mod.Mirror] = true
			}
		}
	}
	for _, d := range dirs {
		if needed[d.Name()] {
			continue
		}
		if err := s.dropMirror(d.Name()); err != nil {
			return storageError(err)
		}
	}
	return nil
}

func (s *Store) knownMirror(key string) *mirror {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.mirrors[key]
	if !known {
		m = newMirror(filepath.Join(s.dir, "mirrors", key))
		s.mirrors[key] = m
	}
	return m
}

// dropMirror removes a mirror unless it is, or just was, in use. A Fetch that starts meanwhile waits for s.mu and gets a new, empty one.
func (s *Store) dropMirror(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.mirrors[key]
	if !known || m.users > 0 || s.now().Sub(m.used) < s.grace {
		return nil
	}
	delete(s.mirrors, key)
	s.usage.changed.Store(true)
	return os.RemoveAll(m.dir)
}
