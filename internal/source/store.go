package source

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Store holds snapshots of trees, content addressed: a blob that two commits,
// branches or repositories share is kept once. It is safe for concurrent use by
// one process; two processes must not share a directory.
type Store struct {
	dir   string
	grace time.Duration
	now   func() time.Time

	// gc is held shared while content is added, exclusively while it is removed.
	gc sync.RWMutex

	usage usage

	mu      sync.Mutex
	trees   map[string]*storedTree // by digest, those that were asked for
	touched map[string]time.Time   // by digest, when it was last handed out
	mirrors map[string]*mirror     // by remote.key
	pins    map[hash]int           // blobs that drafts need, and how many
	swept   bool                   // blobs were compared with manifests in this process
}

// storedTree is what snapshots of one digest share.
type storedTree struct {
	digest   string
	size     int64
	root     *node
	revision string
	commit   Commit
	checked  bool // its blobs were seen; guarded by Store.mu
}

// Option changes a Store from its defaults.
type Option func(*Store)

// WithGrace sets for how long a snapshot survives Retain after it was handed
// out, so that its digest can be recorded. Default 5 minutes.
func WithGrace(d time.Duration) Option { return func(s *Store) { s.grace = d } }

// WithClock sets the clock that the grace period is measured with. Default time.Now.
func WithClock(now func() time.Time) Option { return func(s *Store) { s.now = now } }

// NewStore opens a store in dir, which is created when it isn't there. What an
// earlier process left in it is found again.
func NewStore(dir string, opts ...Option) (*Store, error) {
	s := &Store{
		dir: dir, grace: 5 * time.Minute, now: time.Now,
		trees: map[string]*storedTree{}, touched: map[string]time.Time{}, mirrors: map[string]*mirror{}, pins: map[hash]int{},
	}
	for _, o := range opts {
		o(s)
	}
	// Half-written files of a process that was killed.
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		return nil, storageError(err)
	}
	for _, sub := range []string{"blobs", "snapshots", "aliases", "mirrors", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, storageError(err)
		}
	}
	return s, nil
}

// Get returns the snapshot with that Snapshot.Digest, or the one that was
// unpacked from an archive with that digest, see [Store.RememberArchive]. It is
// false when the store doesn't have it, or not undamaged; a fetch then brings it
// back. The revision is the one under which the content was first seen; see
// Snapshot.At.
func (s *Store) Get(digest string) (*Snapshot, bool) {
	if snap, ok := s.checked(digest); ok {
		return snap, true
	}
	s.gc.RLock()
	defer s.gc.RUnlock()
	if snap, ok := s.get(digest); ok {
		return snap, true
	}
	return s.getArchived(digest)
}

// checked returns what is known to be whole, however long others hold gc. Having been touched keeps it from being removed.
func (s *Store) checked(digest string) (*Snapshot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.trees[digest]
	if t == nil || !t.checked {
		return nil, false
	}
	s.touched[digest] = s.now()
	return &Snapshot{store: s, tree: t, revision: t.revision, commit: t.commit}, true
}

// get is called with gc held shared. It knows a snapshot's own digest only.
func (s *Store) get(digest string) (*Snapshot, bool) {
	t, ok := s.load(digest)
	if !ok {
		return nil, false
	}
	s.touch(digest)
	return &Snapshot{store: s, tree: t, revision: t.revision, commit: t.commit}, true
}

func (s *Store) touch(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched[digest] = s.now()
}

// load returns a tree whose blobs are all there. Their content is checked when
// it is read.
func (s *Store) load(digest string) (*storedTree, bool) {
	s.mu.Lock()
	t, checked := s.trees[digest], false
	if t != nil {
		checked = t.checked
	}
	s.mu.Unlock()
	if checked {
		return t, true
	}
	if t == nil {
		var err error
		if t, err = s.readManifest(digest); err != nil {
			return nil, false
		}
	}
	if !s.complete(t.root) {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.checked = true
	s.trees[digest] = t
	return t, true
}

func (s *Store) complete(root *node) bool {
	err := root.walk(func(n *node) error {
		if n.kind != kindLink && !s.hasBlob(n.sum, n.size) {
			return ErrDamaged
		}
		return nil
	})
	return err == nil
}

// manifestPath also guards against digests that are no digests.
func (s *Store) manifestPath(digest string) (string, bool) {
	name, ok := strings.CutPrefix(digest, "sha256:")
	raw, err := hex.DecodeString(name)
	if !ok || err != nil || len(raw) != sha256.Size || strings.ToLower(name) != name {
		return "", false
	}
	return filepath.Join(s.dir, "snapshots", name), true
}

func (s *Store) readManifest(digest string) (*storedTree, error) {
	name, ok := s.manifestPath(digest)
	if !ok {
		return nil, os.ErrNotExist
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(data)
	if err != nil {
		return nil, err
	}
	root, err := m.tree()
	if err != nil {
		return nil, err
	}
	return &storedTree{digest: digest, size: m.Size, root: root, revision: m.Revision, commit: m.Commit}, nil
}

// put makes a snapshot of a tree whose blobs were written. It reads them all
// once more for the digest, so what it returns was whole at that moment.
func (s *Store) put(root *node, revision string, commit Commit) (*Snapshot, error) {
	h := sha256.New()
	size := &counter{w: h}
	if err := writeArchive(size, root, s); err != nil {
		return nil, err
	}
	t := &storedTree{digest: "sha256:" + hex.EncodeToString(h.Sum(nil)), size: size.n, root: root, revision: revision, commit: commit, checked: true}
	data, err := manifest{Revision: revision, Commit: commit, Size: t.size, Entries: listEntries(root)}.encode()
	if err != nil {
		return nil, err
	}
	name, _ := s.manifestPath(t.digest)
	if known, err := os.ReadFile(name); err != nil || !describes(known, root) {
		if err := s.writeFile(name, data); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees[t.digest] = t
	s.touched[t.digest] = s.now()
	return &Snapshot{store: s, tree: t, revision: revision, commit: commit}, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// mirror returns what is kept of one URL, and keeps it from being collected
// until it is released.
func (s *Store) mirror(key string) *mirror {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.mirrors[key]
	if !ok {
		m = newMirror(filepath.Join(s.dir, "mirrors", key))
		s.mirrors[key] = m
	}
	m.users++
	return m
}

func (s *Store) release(m *mirror) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.users--
	m.used = s.now()
}
