package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	upstream "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blobs keeps each blob in a file named by its digest. A file gets that name
// only when its bytes were checked and are complete, so a name that is there
// can be trusted and needs no second look.
type blobs struct{ dir string }

func newBlobs(dir string) (*blobs, error) {
	b := &blobs{dir: dir}
	if err := os.RemoveAll(b.uploads()); err != nil { // of a process that was killed
		return nil, fmt.Errorf("clear unfinished uploads: %w", err)
	}
	for _, d := range []string{b.uploads(), filepath.Join(dir, "sha256")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("make the folder for blobs: %w", err)
		}
	}
	return b, nil
}

func (b *blobs) uploads() string { return filepath.Join(b.dir, "uploads") }

func (b *blobs) file(h v1.Hash) string { return filepath.Join(b.dir, h.Algorithm, h.Hex) }

// Stat returns a blob's size in bytes.
func (b *blobs) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	info, err := os.Stat(b.file(h))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, upstream.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Get opens a blob.
func (b *blobs) Get(_ context.Context, _ string, h v1.Hash) (io.ReadCloser, error) {
	f, err := os.Open(b.file(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, upstream.ErrNotFound
	}
	return f, err
}

// Put stores a blob. rc fails before its end when its bytes do not have the
// digest h; then nothing is stored.
func (b *blobs) Put(_ context.Context, _ string, h v1.Hash, rc io.ReadCloser) error {
	defer rc.Close()
	f, err := os.CreateTemp(b.uploads(), h.Hex+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // a no-op after the rename
	_, err = io.Copy(f, rc)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), b.file(h))
}

// Delete removes a blob.
func (b *blobs) Delete(_ context.Context, _ string, h v1.Hash) error {
	err := os.Remove(b.file(h))
	if errors.Is(err, fs.ErrNotExist) {
		return upstream.ErrNotFound
	}
	return err
}
