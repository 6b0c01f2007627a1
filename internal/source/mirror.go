package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
)

// mirror is what is kept of one URL: the packs that were received, and which
// snapshots came out of which commits. It is a cache: when it is broken or too
// large it is emptied, and the next fetch is a whole one.
type mirror struct {
	dir   string
	users int       // guarded by Store.mu
	used  time.Time // guarded by Store.mu

	// mu is held shared while packs are read, exclusively while they change.
	mu         sync.RWMutex
	generation int
	stateMu    sync.Mutex
	state      mirrorState
}

// mirrorState is in mirror.json, beside the packs.
type mirrorState struct {
	// Tips are commits whose trees are here in full, the latest first.
	Tips []string `json:"tips"`
	// Shallow are commits whose parents are not here.
	Shallow []string `json:"shallow"`
	// Records lists snapshots, the latest first.
	Records []record `json:"records"`
	// FirstPack is the size of the first, whole pack in bytes.
	FirstPack int64 `json:"firstPack"`
}

// record says that a commit, seen through some rules, is a snapshot.
type record struct {
	Rules  string `json:"rules"`
	Digest string `json:"digest"`
	Commit Commit `json:"commit"`
	// Modules are the submodules that were taken in.
	Modules []moduleRecord `json:"modules,omitempty"`
}

const (
	maxHaves   = 32  // tips that are told to a server
	maxRecords = 256 // snapshots remembered per URL
	maxPacks   = 64
	packSlack  = 64 << 20 // bytes that incremental packs may take in any case
)

// errMirror means that the mirror can't be used as it is.
var errMirror = errors.New("the local copy of the repository is damaged")

func newMirror(dir string) *mirror {
	m := &mirror{dir: dir}
	data, err := os.ReadFile(m.statePath())
	if err == nil {
		err = json.Unmarshal(data, &m.state)
	}
	if err != nil {
		// Packs without a state that tells what is in them are of no use.
		m.state = mirrorState{}
		_ = os.RemoveAll(m.packDir()) // What remains is only disk space.
	}
	return m
}

func (m *mirror) statePath() string { return filepath.Join(m.dir, "mirror.json") }
func (m *mirror) packDir() string   { return filepath.Join(m.dir, "objects", "pack") }

// save is called with stateMu held.
func (m *mirror) save(s *Store) error {
	data, err := json.Marshal(m.state)
	if err != nil {
		return fmt.Errorf("encode mirror state: %w", err)
	}
	return s.writeFile(m.statePath(), data)
}

// find returns the snapshot of a commit through rules.
func (m *mirror) find(commit plumbing.Hash, rules string) (record, bool) {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	for _, r := range m.state.Records {
		if r.Commit.Hash == commit.String() && r.Rules == rules {
			return r, true
		}
	}
	return record{}, false
}

// base returns the digest of the snapshot that is likely most similar to the
// next one: the previous one (a digest or a revision), else the latest.
func (m *mirror) base(previous string) string {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	for _, r := range m.state.Records {
		if previous != "" && (r.Digest == previous || strings.HasSuffix(previous, "sha1:"+r.Commit.Hash)) {
			return r.Digest
		}
	}
	if len(m.state.Records) == 0 {
		return ""
	}
	return m.state.Records[0].Digest
}

// remember adds a record and drops the one that it replaces.
func (m *mirror) remember(s *Store, r record) error {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	others := slices.DeleteFunc(slices.Clone(m.state.Records), func(o record) bool {
		return o.Commit.Hash == r.Commit.Hash && o.Rules == r.Rules
	})
	others = others[:min(len(others), maxRecords-1)]
	m.state.Records = append([]record{r}, others...)
	return m.save(s)
}

// forget drops the records of snapshots that are not kept, and returns those that are left.
func (m *mirror) forget(s *Store, keep map[string]bool) (left []record, err error) {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	before := len(m.state.Records)
	m.state.Records = slices.DeleteFunc(m.state.Records, func(r record) bool { return !keep[r.Digest] })
	if len(m.state.Records) != before {
		err = m.save(s)
	}
	return slices.Clone(m.state.Records), err
}

// have is what a server is told that we have, at one generation of the packs.
type have struct {
	tips, shallow []plumbing.Hash
	generation    int
}

// have empties a mirror that has grown too large first.
func (m *mirror) have() have {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.oversized() {
		m.clear()
	}
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	tips := m.state.Tips[:min(len(m.state.Tips), maxHaves)]
	return have{tips: hashes(tips), shallow: hashes(m.state.Shallow), generation: m.generation}
}

func (m *mirror) oversized() bool {
	files, err := filepath.Glob(filepath.Join(m.packDir(), "*.pack"))
	if err != nil || len(files) > maxPacks {
		return true
	}
	var total int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	return len(files) > 1 && total > 4*m.state.FirstPack+packSlack
}

// reset empties the mirror, if nobody did since generation. Snapshots stay.
func (m *mirror) reset(generation int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.generation == generation {
		m.clear()
	}
}

// clear is called with mu held exclusively.
func (m *mirror) clear() {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	_ = os.RemoveAll(m.packDir()) // What remains is only disk space.
	m.generation++
	m.state.Tips, m.state.Shallow, m.state.FirstPack = nil, nil, 0
}

// install adds a pack that was received by somebody who was told h. It is false
// when the mirror was emptied in the meantime, so that the pack has no base.
func (m *mirror) install(s *Store, p *pack, h have) (ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.generation != h.generation {
		return false, nil
	}
	if p.index != nil {
		if err := m.addPack(s, p); err != nil {
			return false, err
		}
	}
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	for _, tip := range p.tips {
		m.state.Tips = prepend(m.state.Tips, tip.String())
	}
	m.state.Tips = m.state.Tips[:min(len(m.state.Tips), maxHaves)]
	for _, sh := range p.shallow {
		m.state.Shallow = prepend(m.state.Shallow, sh.String())
	}
	// Only what is told to be here must be told to be shallow.
	m.state.Shallow = slices.DeleteFunc(m.state.Shallow, func(sh string) bool { return !slices.Contains(m.state.Tips, sh) })
	if m.state.FirstPack == 0 {
		m.state.FirstPack = p.size
	}
	return true, m.save(s)
}

// addPack puts the index there first: a pack without one would be an error for
// readers, the reverse is not.
func (m *mirror) addPack(s *Store, p *pack) error {
	var idx strings.Builder
	if _, err := idxfile.NewEncoder(&idx).Encode(p.index); err != nil {
		return fmt.Errorf("encode pack index: %w", err)
	}
	name := filepath.Join(m.packDir(), "pack-"+p.checksum.String())
	if err := s.writeFile(name+".idx", []byte(idx.String())); err != nil {
		return err
	}
	if err := os.Rename(p.file, name+".pack"); err != nil {
		return storageError(err)
	}
	s.usage.changed.Store(true)
	return nil
}

func prepend(list []string, s string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(o string) bool { return o == s })
	return append([]string{s}, list...)
}

func hashes(list []string) []plumbing.Hash {
	out := make([]plumbing.Hash, 0, len(list))
	for _, s := range list {
		out = append(out, plumbing.NewHash(s))
	}
	return out
}

func (m *mirror) current() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.generation
}
