package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Commit says where a snapshot comes from.
type Commit struct {
	// Hash is the commit's, 40 hexadecimal digits.
	Hash string `json:"hash"`
	// Author is NAME <EMAIL>, as the commit claims.
	Author string `json:"author,omitempty"`
	// Subject is the first line of the message, at most 200 characters.
	Subject string `json:"subject,omitempty"`
	// Time is the committer's.
	Time time.Time `json:"time,omitzero"`
}

// manifest is what the store keeps on disk of a snapshot beside its blobs. In
// the file a line with the SHA-256 of the JSON follows the JSON.
type manifest struct {
	Revision string          `json:"revision"`
	Commit   Commit          `json:"commit"`
	Size     int64           `json:"size"`
	Entries  []manifestEntry `json:"entries"`
}

type manifestEntry struct {
	Path   string `json:"p"`
	Kind   kind   `json:"k"`
	Size   int64  `json:"s,omitempty"`
	Sum    string `json:"h"`
	Git    string `json:"g,omitempty"`
	Target string `json:"t,omitempty"`
	Origin string `json:"o,omitempty"`
}

func (m manifest) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return fmt.Appendf(body, "\n%x\n", sha256.Sum256(body)), nil
}

func decodeManifest(data []byte) (*manifest, error) {
	body, sum, _ := bytes.Cut(data, []byte("\n"))
	if want := fmt.Sprintf("%x\n", sha256.Sum256(body)); string(sum) != want {
		return nil, ErrDamaged
	}
	m := &manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m, nil
}

func listEntries(root *node) []manifestEntry {
	var out []manifestEntry
	_ = root.walk(func(n *node) error { // The visitor never fails.
		e := manifestEntry{Path: n.path, Kind: n.kind, Size: n.size, Sum: hex.EncodeToString(n.sum[:]), Target: n.target, Origin: n.origin}
		if !n.git.IsZero() {
			e.Git = n.git.String()
		}
		out = append(out, e)
		return nil
	})
	return out
}

func (m *manifest) tree() (*node, error) {
	entries := make([]entry, 0, len(m.Entries))
	for _, e := range m.Entries {
		sum, err := hex.DecodeString(e.Sum)
		if err != nil || len(sum) != sha256.Size {
			return nil, ErrDamaged
		}
		entries = append(entries, entry{path: e.Path, kind: e.Kind, size: e.Size, sum: hash(sum), git: plumbing.NewHash(e.Git), target: e.Target, origin: e.Origin})
	}
	return newTree(entries)
}

// describes tells whether a manifest on disk lists the files of root with the
// same origins. Trees with one digest differ in nothing else that matters later.
func describes(data []byte, root *node) bool {
	m, err := decodeManifest(data)
	if err != nil {
		return false
	}
	return slices.Equal(m.Entries, listEntries(root))
}
