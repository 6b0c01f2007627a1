package source

import "context"

// served is a download that is handed on as it is, beside the tree that was unpacked from it.
type served struct {
	digest string
	size   int64
	blob   *node
}

// Keep stores what was received as it is: the snapshot that it returns has the
// tree's files, but its digest, size and archive are those of the download.
// [Store.Get] knows it by that digest, for as long as [Store.Retain] is told it.
func (d *Download) Keep(ctx context.Context, tree *Snapshot) (*Snapshot, error) {
	f, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	draft := d.store.NewDraft(d.limits)
	defer draft.Discard()
	if err := draft.File(ctx, servedFile, 0o644, "", f); err != nil {
		return nil, err
	}
	whole, err := draft.Snapshot(tree.Revision())
	if err != nil {
		return nil, err
	}
	if err := d.store.Remember(fileKey(d.digest), whole); err != nil {
		return nil, err
	}
	if err := d.store.RememberArchive(d.digest, tree); err != nil {
		return nil, err
	}
	return tree.as(d.digest, whole)
}

// servedFile is the name of the one file in the tree of a download that is kept as it is.
const servedFile = "content"

// fileKey is the key under which a download that is kept as it is is remembered.
func fileKey(digest string) string { return "file " + digest }

// as returns s with the archive that whole holds.
func (s *Snapshot) as(digest string, whole *Snapshot) (*Snapshot, error) {
	n := whole.tree.root.find(servedFile)
	if n == nil {
		return nil, ErrDamaged
	}
	other := *s
	other.download = &served{digest: digest, size: n.size, blob: n}
	return &other, nil
}

// getArchived finds what was unpacked from an archive with that digest. It is called with gc held shared.
func (s *Store) getArchived(digest string) (*Snapshot, bool) {
	tree, ok := s.recall(archiveKey(digest))
	if !ok {
		return nil, false
	}
	if _, kept := readAlias(s.aliasPath(fileKey(digest))); !kept {
		return tree, true
	}
	whole, ok := s.recall(fileKey(digest))
	if !ok {
		return nil, false
	}
	tree, err := tree.as(digest, whole)
	return tree, err == nil
}
