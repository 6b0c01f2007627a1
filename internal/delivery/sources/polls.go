package sources

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// poll is what is remembered of one source between two fetches. It belongs to the worker that reconciles the source.
type poll struct {
	generation int64
	next       time.Time
	failures   int
	lost       bool // the store has lost the snapshot, and who waits for it must be told when it is back
}

// polls holds what is remembered of all sources.
type polls struct {
	mu  sync.Mutex
	all map[types.NamespacedName]*poll
	// kept are the digests of the snapshots that are in the store for a source.
	kept map[types.NamespacedName]string
	// wanted are those to fetch at once.
	wanted map[types.NamespacedName]bool
}

func newPolls() *polls {
	return &polls{all: map[types.NamespacedName]*poll{}, kept: map[types.NamespacedName]string{}, wanted: map[types.NamespacedName]bool{}}
}

func (p *polls) of(key types.NamespacedName) *poll {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[key] == nil {
		p.all[key] = &poll{}
	}
	return p.all[key]
}

func (p *polls) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, key)
	delete(p.kept, key)
	delete(p.wanted, key)
}

// hurry has the next reconcile of key fetch at once.
func (p *polls) hurry(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[key] != nil { // else it is new, or doesn't exist
		p.wanted[key] = true
	}
}

// hurried tells whether that was asked for since the last fetch of key began.
func (p *polls) hurried(key types.NamespacedName) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted[key]
}

// begun notes that a fetch of key begins.
func (p *polls) begun(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wanted, key)
}

// keep notes that digest is in the store for key, and tells whether that is news.
func (p *polls) keep(key types.NamespacedName, digest string) (fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept[key] == digest {
		return false
	}
	p.kept[key] = digest
	return true
}

// newest is the digest that is known to be in the store for key, or empty.
func (p *polls) newest(key types.NamespacedName) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept[key]
}

// digests are all that must stay in the store.
func (p *polls) digests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.kept))
}
