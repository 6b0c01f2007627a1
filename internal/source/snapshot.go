package source

import (
	"encoding/hex"
	"io"
	"io/fs"
	"path"
)

// Snapshot is a tree at a revision. It never changes and is safe for concurrent
// use. It can be read for as long as [Store.Retain] keeps its digest.
type Snapshot struct {
	store    *Store
	tree     *storedTree
	revision string
	commit   Commit
	download *served // what is served instead of an archive of the tree; nil for most
	proofs   []string
}

// Revision is where the tree was found, in Flux's formats of RFC-0005:
// "main@sha1:<40 hex>", "v1.2.0@sha1:…", "refs/pull/1/head@sha1:…", or
// "sha1:…" for a commit without a branch.
func (s *Snapshot) Revision() string { return s.revision }

// Digest is "sha256:<64 hex>" of what WriteArchive writes. It depends on the
// content alone: two revisions with the same files have the same digest. For
// what [Download.Keep] kept it is the digest of the download.
func (s *Snapshot) Digest() string {
	if s.download != nil {
		return s.download.digest
	}
	return s.tree.digest
}

// Size is the number of bytes that WriteArchive writes.
func (s *Snapshot) Size() int64 {
	if s.download != nil {
		return s.download.size
	}
	return s.tree.size
}

// Commit tells who made the revision, and when.
func (s *Snapshot) Commit() Commit { return s.commit }

// Signatures tells what was signed with which key, a line for each signature that was asked for. A snapshot out of [Store.Get] has none.
func (s *Snapshot) Signatures() []string { return s.proofs }

// At returns the same tree under another revision, for a caller that has
// recorded the revision together with the digest.
func (s *Snapshot) At(revision string) *Snapshot {
	other := *s
	other.revision = revision
	return &other
}

// FS is the tree as a read-only file system with ReadFile, ReadDir, Stat,
// Lstat and ReadLink. Links within the tree are followed; one that leads out of
// it gives ErrEscapes. Content is checked against its hash on every read.
func (s *Snapshot) FS() fs.FS { return treeFS{root: s.tree.root, store: s.store} }

// Hash identifies what can be read at a path: the content of a file, or all
// names, executable bits and contents of a directory. Links count with what
// they lead to. It is false where FS has nothing to read.
func (s *Snapshot) Hash(name string) (string, bool) {
	n, err := s.tree.root.resolve(path.Clean(name), true)
	if err != nil {
		return "", false
	}
	sum := n.contentHash(s.tree.root)
	return "sha256:" + hex.EncodeToString(sum[:]), true
}

// WriteArchive writes the tree as tar.gz, the same bytes each time. Symbolic
// links are not part of it. An error wraps ErrDamaged when stored content is.
func (s *Snapshot) WriteArchive(w io.Writer) error {
	if s.download != nil {
		content, err := s.store.readBlob(s.download.blob.sum, s.download.blob.size)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	return writeArchive(w, s.tree.root, s.store)
}
