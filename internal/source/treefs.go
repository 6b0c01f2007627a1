package source

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"time"
)

// treeFS is a snapshot seen through io/fs. Nothing is unpacked: a directory is
// in memory, a file is read from the store when it is opened.
type treeFS struct {
	root  *node
	store *Store
}

var (
	_ fs.ReadFileFS = treeFS{}
	_ fs.ReadDirFS  = treeFS{}
	_ fs.StatFS     = treeFS{}
	_ fs.ReadLinkFS = treeFS{}
)

func (t treeFS) at(op, name string, follow bool) (*node, error) {
	n, err := t.root.resolve(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// Open follows links within the tree.
func (t treeFS) Open(name string) (fs.File, error) {
	n, err := t.at("open", name, true)
	if err != nil {
		return nil, err
	}
	info := nodeInfo{n, path.Base(name)}
	if n.kind == kindDir {
		return &openDir{info: info, rest: n.children}, nil
	}
	content, err := t.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(content), info: info}, nil
}

// ReadFile checks the content against its hash, every time.
func (t treeFS) ReadFile(name string) ([]byte, error) {
	n, err := t.at("read", name, true)
	if err != nil {
		return nil, err
	}
	if n.kind == kindDir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDirectory}
	}
	content, err := t.store.readBlob(n.sum, n.size)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return content, nil
}

func (t treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.at("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if n.kind != kindDir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDirectory}
	}
	return dirEntries(n.children), nil
}

func (t treeFS) Stat(name string) (fs.FileInfo, error) {
	n, err := t.at("stat", name, true)
	if err != nil {
		return nil, err
	}
	return nodeInfo{n, path.Base(name)}, nil
}

func (t treeFS) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.at("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return nodeInfo{n, path.Base(name)}, nil
}

func (t treeFS) ReadLink(name string) (string, error) {
	n, err := t.at("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.kind != kindLink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.target, nil
}

func dirEntries(nodes []*node) []fs.DirEntry {
	out := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		out[i] = nodeEntry{nodeInfo{n, n.name}}
	}
	return out
}

type nodeInfo struct {
	n    *node
	name string
}

func (i nodeInfo) Name() string { return i.name }
func (i nodeInfo) Size() int64  { return i.n.size }

// ModTime is always the epoch: a tree in Git has no times.
func (i nodeInfo) ModTime() time.Time { return time.Unix(0, 0).UTC() }
func (i nodeInfo) IsDir() bool        { return i.n.kind == kindDir }
func (i nodeInfo) Sys() any           { return nil }

func (i nodeInfo) Mode() fs.FileMode {
	switch i.n.kind {
	case kindDir:
		return fs.ModeDir | 0o555
	case kindExec:
		return 0o555
	case kindLink:
		return fs.ModeSymlink | 0o777
	}
	return 0o444
}

type nodeEntry struct{ nodeInfo }

func (e nodeEntry) Type() fs.FileMode          { return e.Mode().Type() }
func (e nodeEntry) Info() (fs.FileInfo, error) { return e.nodeInfo, nil }
func (e nodeEntry) String() string             { return fs.FormatDirEntry(e) }

// openFile holds the whole, checked content; Limits.MaxFileBytes bounds it.
type openFile struct {
	*bytes.Reader
	info nodeInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info nodeInfo
	rest []*node
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errIsDirectory}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.rest) {
		n = len(d.rest)
	}
	out := dirEntries(d.rest[:n])
	d.rest = d.rest[n:]
	return out, nil
}
