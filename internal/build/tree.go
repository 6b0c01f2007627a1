package build

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
)

// Tree is a source's content: its files, and a hash for each of them. A snapshot of a
// source is a Tree.
type Tree interface {
	// FS gives the files. It should implement fs.ReadLinkFS when the tree may have
	// symbolic links; links are resolved by the build, inside the tree only.
	FS() fs.FS
	// Hash gives a hash of a file's content, or of everything below a folder; "." is
	// the whole tree. False: there is nothing at that path, or no hash for it. Equal
	// hashes mean equal content, in this tree and any other of the same kind.
	Hash(path string) (string, bool)
}

// TreeOf makes a Tree of files that have no hashes: they are computed when asked for.
func TreeOf(fsys fs.FS) Tree { return plainTree{fsys} }

type plainTree struct{ fsys fs.FS }

func (t plainTree) FS() fs.FS { return t.fsys }

func (t plainTree) Hash(name string) (string, bool) {
	info, err := fs.Lstat(t.fsys, name)
	if err != nil {
		return "", false
	}
	switch {
	case info.IsDir():
		return t.hashDir(name)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := fs.ReadLink(t.fsys, name)
		return contentHash("link", []byte(target)), err == nil
	default:
		content, err := fs.ReadFile(t.fsys, name)
		return contentHash("file", content), err == nil
	}
}

func (t plainTree) hashDir(name string) (string, bool) {
	entries, err := fs.ReadDir(t.fsys, name)
	if err != nil {
		return "", false
	}
	var all []byte
	for _, e := range entries {
		h, ok := t.Hash(path.Join(name, e.Name()))
		if !ok {
			return "", false
		}
		all = append(append(append(append(all, e.Name()...), 0), h...), 0)
	}
	return contentHash("dir", all), true
}

func contentHash(kind string, content []byte) string {
	h := sha256.New()
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
