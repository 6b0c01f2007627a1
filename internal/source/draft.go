package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

// Draft is a tree of plain files on its way into the store: the way by which
// everything that is not Git becomes a [Snapshot].
//
// A fetcher of another kind (a registry, a bucket, a download) asks its server
// what is there, and looks whether the store has it already ([Store.Recall]).
// If not, it has two ways. A tar archive is received in whole and unpacked:
// [Store.Receive], then [Download.Unpack]. Single files are put into a Draft:
//
//	d := store.NewDraft(limits)
//	defer d.Discard()
//	for … { err := d.File(ctx, path, 0o644, etag, content) }
//	snap, err := d.Snapshot(revision)
//
// Paths, sizes and numbers are checked as the files come. The digest of the
// result depends on paths, contents, executable bits and link targets alone,
// not on order, times or owners. What is in a draft is not collected before
// Discard. A draft is safe for concurrent use.
type Draft struct {
	store  *Store
	limits Limits

	mu      sync.Mutex
	entries map[string]entry
	total   int64
	pinned  []hash
}

// NewDraft begins an empty tree. Zero fields of limits mean their defaults.
func (s *Store) NewDraft(limits Limits) *Draft {
	return &Draft{store: s, limits: limits.withDefaults(), entries: map[string]entry{}}
}

// File adds a file, or replaces the one of that path. Of mode only the
// executable bits count. origin is what the server calls this content, such as
// an entity tag; see [Draft.Reuse]. It may be empty.
//
// Errors are *[Error]: a path that leads out of the tree or that no consumer
// could unpack, or a limit that is exceeded. Errors of content and of ctx are
// returned as they are.
func (d *Draft) File(ctx context.Context, name string, mode fs.FileMode, origin string, content io.Reader) error {
	name, err := d.admit(name)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(content, d.limits.MaxFileBytes+1))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", shorten(name), err)
	}
	if int64(len(data)) > d.limits.MaxFileBytes {
		return limited(&LimitError{Limit: "MaxFileBytes", Value: d.limits.MaxFileBytes, What: shorten(name), Advice: adviceIgnore})
	}
	e := entry{path: name, kind: kindFile, size: int64(len(data)), origin: origin}
	if mode&0o111 != 0 {
		e.kind = kindExec
	}
	// Not before the content is here: whoever waits for it must not hold up the collection.
	d.store.gc.RLock()
	defer d.store.gc.RUnlock()
	if e.sum, err = d.store.writeBlob(data); err != nil {
		return err
	}
	return d.add(e)
}

// Link adds a symbolic link. Reading through it stays within the tree: see
// [Snapshot.FS]. Archives leave links out.
func (d *Draft) Link(name, target string) error {
	name, err := d.admit(name)
	if err != nil {
		return err
	}
	if len(target) > maxLinkBytes {
		return limited(&LimitError{Limit: "link target", Value: maxLinkBytes, Got: int64(len(target)), What: shorten(name), Advice: adviceIgnore})
	}
	return d.add(entry{path: name, kind: kindLink, sum: linkSum(target), target: target})
}

// Reuse adds the file that an earlier snapshot has under the same path with the
// same, non-empty origin, and reports whether there was one. It makes a fetch
// incremental: what the server says is unchanged is not asked for again. The
// caller sees to it that from came from the same place, and that the server has
// shown the origin to the credentials of this request.
func (d *Draft) Reuse(from *Snapshot, name, origin string) (bool, error) {
	if from == nil || origin == "" {
		return false, nil
	}
	name, err := d.admit(name)
	if err != nil {
		return false, err
	}
	n, err := from.tree.root.resolve(name, false)
	if err != nil || n.origin != origin || n.kind == kindDir || n.kind == kindLink {
		return false, nil //nolint:nilerr // What isn't there is fetched.
	}
	d.store.gc.RLock()
	defer d.store.gc.RUnlock()
	if !d.store.hasBlob(n.sum, n.size) {
		return false, nil
	}
	return true, d.add(n.entry)
}

// Snapshot puts the tree into the store. The draft can go on growing after it.
func (d *Draft) Snapshot(revision string) (*Snapshot, error) {
	d.mu.Lock()
	entries := make([]entry, 0, len(d.entries))
	for _, e := range d.entries {
		entries = append(entries, e)
	}
	d.mu.Unlock()
	root, err := newTree(entries)
	if err != nil {
		return nil, failf(ReasonContentInvalid, "a file is where a directory should be: %w: put the content together again without it", err)
	}
	d.store.gc.RLock()
	defer d.store.gc.RUnlock()
	return d.store.put(root, revision, Commit{})
}

// Discard lets go of what only the draft needed.
func (d *Draft) Discard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store.unpin(d.pinned)
	d.pinned = nil
}

// add is called with the store's gc held shared, for a blob that is there.
func (d *Draft) add(e entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, replaces := d.entries[e.path]
	total := d.total - old.size + e.size
	if total > d.limits.MaxTreeBytes {
		return limited(&LimitError{Limit: "MaxTreeBytes", Value: d.limits.MaxTreeBytes, What: "the sum of all files", Advice: adviceIgnore})
	}
	if !replaces && len(d.entries) >= d.limits.MaxFiles {
		return limited(&LimitError{Limit: "MaxFiles", Value: int64(d.limits.MaxFiles), What: "the number of files", Advice: adviceIgnore})
	}
	d.entries[e.path], d.total = e, total
	if e.kind != kindLink {
		d.pinned = append(d.pinned, e.sum)
		d.store.pin(e.sum)
	}
	return nil
}

// admit returns the clean form of a path, or refuses it.
func (d *Draft) admit(name string) (string, error) {
	clean, err := cleanPath(name)
	if err != nil {
		return "", err
	}
	if depth := strings.Count(clean, "/") + 1; depth > d.limits.MaxDepth {
		return "", limited(&LimitError{Limit: "MaxDepth", Value: int64(d.limits.MaxDepth), Got: int64(depth), What: "the depth of " + shorten(clean), Advice: "flatten the directories, or raise the limit on the agent"})
	}
	return clean, nil
}

var errBadPath = errors.New("the path can't be used")

// cleanPath takes what leads nowhere ("./", "//") out of a path from outside,
// and refuses what leads out of the tree or can't be unpacked everywhere.
func cleanPath(name string) (string, error) {
	parts := strings.Split(name, "/")
	switch {
	case path.IsAbs(name), slices.Contains(parts, ".."):
		return "", failf(ReasonContentInvalid, "%w: %s leads out of the tree: put the content together again with paths below its root", errBadPath, shorten(name))
	case strings.ContainsAny(name, "\\\x00"):
		return "", failf(ReasonContentInvalid, "%w: %s has a backslash or a zero byte in it: rename the file", errBadPath, shorten(name))
	case slices.ContainsFunc(parts, func(p string) bool { return len(p) > 255 }):
		return "", failf(ReasonContentInvalid, "%w: %s has a name of more than 255 bytes: rename the file", errBadPath, shorten(name))
	}
	clean := path.Clean(name)
	if clean == "." || !fs.ValidPath(clean) {
		return "", failf(ReasonContentInvalid, "%w: %s names no file, or is not UTF-8: rename the file", errBadPath, shorten(name))
	}
	return clean, nil
}

func limited(err *LimitError) error { return &Error{Reason: ReasonLimitExceeded, Err: err} }

// pin keeps a blob from being collected, as often as it is called.
func (s *Store) pin(sum hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[sum]++
}

func (s *Store) unpin(sums []hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sum := range sums {
		if s.pins[sum]--; s.pins[sum] <= 0 {
			delete(s.pins, sum)
		}
	}
}
