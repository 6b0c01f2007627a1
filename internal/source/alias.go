package source

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// alias is what the store knows a snapshot by besides its digest, as its file
// in aliases/ holds it.
type alias struct {
	Digest   string `json:"digest"`
	Revision string `json:"revision"`
}

// Remember lets [Store.Recall] find a snapshot under a key of the caller's, for
// as long as the snapshot is kept, across restarts. It is for what a fetcher
// knows of the content before it has it: the digest of a registry's manifest
// together with the layer and the ignore rules, for instance.
//
// A key must name all that the tree depends on. It is no proof that somebody may
// see the content: recall only what the server has just shown to the very
// credentials of the request.
func (s *Store) Remember(key string, snap *Snapshot) error {
	data, err := json.Marshal(alias{Digest: snap.tree.digest, Revision: snap.Revision()})
	if err != nil {
		return fmt.Errorf("encode alias: %w", err)
	}
	s.gc.RLock()
	defer s.gc.RUnlock()
	return s.writeFile(s.aliasPath(key), data)
}

// Recall returns the snapshot that was remembered under key, with the revision
// that it had then. It is false when there is none, or not undamaged.
func (s *Store) Recall(key string) (*Snapshot, bool) {
	s.gc.RLock()
	defer s.gc.RUnlock()
	return s.recall(key)
}

// recall is called with gc held shared.
func (s *Store) recall(key string) (*Snapshot, bool) {
	a, ok := readAlias(s.aliasPath(key))
	if !ok {
		return nil, false
	}
	snap, ok := s.get(a.Digest)
	if !ok {
		return nil, false
	}
	return snap.At(a.Revision), true
}

// RememberArchive lets [Store.Get] and [Store.Retain] know a snapshot by the
// digest of the archive that all of it was unpacked from.
func (s *Store) RememberArchive(digest string, snap *Snapshot) error {
	return s.Remember(archiveKey(digest), snap)
}

// archiveKey is the key under which an archive's own digest is remembered.
func archiveKey(digest string) string { return "archive " + digest }

func (s *Store) aliasPath(key string) string {
	return filepath.Join(s.dir, "aliases", fmt.Sprintf("%x", sha256.Sum256([]byte(key))))
}

func readAlias(file string) (alias, bool) {
	var a alias
	data, err := os.ReadFile(file)
	if err != nil {
		return a, false
	}
	return a, json.Unmarshal(data, &a) == nil
}

// dropAliases removes those that lead to no kept snapshot.
func (s *Store) dropAliases(keep map[string]bool) error {
	dir := filepath.Join(s.dir, "aliases")
	files, err := os.ReadDir(dir)
	if err != nil {
		return storageError(err)
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		if a, ok := readAlias(name); ok && keep[a.Digest] {
			continue
		}
		if err := os.RemoveAll(name); err != nil {
			return storageError(err)
		}
	}
	return nil
}
