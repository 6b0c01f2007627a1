package provenance

import (
	"bytes"
	"io/fs"
	"maps"

	"github.com/slipway-dev/slipway/internal/build"
)

// overlay is a tree in which some files have another content. It knows no hashes: nothing is kept of what is built on it.
type overlay struct {
	fs.FS
	files map[string][]byte
}

func (o overlay) with(name string, content []byte) overlay {
	files := maps.Clone(o.files)
	if files == nil {
		files = map[string][]byte{}
	}
	files[name] = content
	return overlay{o.FS, files}
}

func (o overlay) tree() build.Tree { return overlaid{o} }

type overlaid struct{ overlay }

func (t overlaid) FS() fs.FS { return t.overlay }

func (t overlaid) Hash(string) (string, bool) { return "", false }

// ReadFile implements fs.ReadFileFS.
func (o overlay) ReadFile(name string) ([]byte, error) {
	if content, ok := o.files[name]; ok {
		return bytes.Clone(content), nil
	}
	return fs.ReadFile(o.FS, name)
}

// ReadDir implements fs.ReadDirFS.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(o.FS, name) }

// Lstat and ReadLink implement fs.ReadLinkFS; the sizes are those of the files beneath.
func (o overlay) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(o.FS, name) }

// ReadLink implements fs.ReadLinkFS.
func (o overlay) ReadLink(name string) (string, error) { return fs.ReadLink(o.FS, name) }
