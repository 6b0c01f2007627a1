package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

var (
	errIsDirectory  = errors.New("is a directory")
	errNotDirectory = errors.New("not a directory")
)

func (s *Store) blobPath(sum hash) string {
	name := hex.EncodeToString(sum[:])
	return filepath.Join(s.dir, "blobs", name[:2], name[2:])
}

// hasBlob reports whether a blob of that size is there. Its content is only
// checked when it is read.
func (s *Store) hasBlob(sum hash, size int64) bool {
	info, err := os.Stat(s.blobPath(sum))
	return err == nil && info.Mode().IsRegular() && info.Size() == size
}

// writeBlob keeps content, once.
func (s *Store) writeBlob(content []byte) (hash, error) {
	sum := hash(sha256.Sum256(content))
	if s.hasBlob(sum, int64(len(content))) {
		return sum, nil
	}
	return sum, s.writeFile(s.blobPath(sum), content)
}

// readBlob returns content that has the given hash, or ErrDamaged. Damaged
// content is taken away, so that the next Fetch stores it anew.
func (s *Store) readBlob(sum hash, size int64) ([]byte, error) {
	f, err := os.Open(s.blobPath(sum))
	if err != nil {
		s.distrust(sum)
		return nil, fmt.Errorf("%w (%w): it is fetched again when the source is reconciled", ErrDamaged, errors.Unwrap(err))
	}
	defer f.Close()
	var content bytes.Buffer
	content.Grow(int(size) + bytes.MinRead)
	if _, err := io.Copy(&content, io.LimitReader(f, size+1)); err != nil {
		return nil, fmt.Errorf("read stored content: %w", err)
	}
	if hash(sha256.Sum256(content.Bytes())) != sum {
		s.distrust(sum)
		return nil, fmt.Errorf("%w: it is fetched again when the source is reconciled", ErrDamaged)
	}
	return content.Bytes(), nil
}

// distrust removes a blob and has every snapshot's blobs looked at again before
// it is handed out next.
func (s *Store) distrust(sum hash) {
	_ = os.Remove(s.blobPath(sum)) // What can't be removed is found damaged again.
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.trees {
		t.checked = false
	}
}

// writeFile writes atomically: readers see all of it or nothing. There is no
// fsync: what a power cut tears is found by its hash and fetched again.
func (s *Store) writeFile(name string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "write-*")
	if err != nil {
		return storageError(err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(content); err != nil {
		_ = tmp.Close()
		return storageError(err)
	}
	if err = tmp.Close(); err != nil {
		return storageError(err)
	}
	if err = os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return storageError(err)
	}
	if err = os.Rename(tmp.Name(), name); err != nil {
		return storageError(err)
	}
	s.usage.changed.Store(true)
	return nil
}

func storageError(err error) error {
	return failf(ReasonStorageOperationFailed, "the source store can't be written: check the space and the permissions of the agent's volume: %w", err)
}
