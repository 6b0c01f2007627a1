package sources

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// poll is what is remembered of one source between two fetches. It belongs to the worker that reconciles the source.
type poll struct {
	uid        types.UID // of the object; one that was made anew under its name has nothing of it
	generation int64
	next       time.Time
	failures   int
	lost       bool   // the store has lost the snapshot, and who waits for it must be told when it is back
	wanted     string // the digest that was fetched for last, of a kind that follows another controller
}

// mark is what others than the worker see of a source.
type mark struct {
	kept    string // the digest of the snapshot that is in the store for it
	problem string // why its artifact can't be had, see Sources.Problem
	hurried bool   // it is to be fetched at once
}

// polls holds what is remembered of all sources of one kind.
type polls struct {
	mu    sync.Mutex
	all   map[types.NamespacedName]*poll
	marks map[types.NamespacedName]mark
}

func newPolls() *polls {
	return &polls{all: map[types.NamespacedName]*poll{}, marks: map[types.NamespacedName]mark{}}
}

// of returns what is remembered of the object with a UID. anew: it was another object of that name until now, of which all is forgotten.
func (p *polls) of(key types.NamespacedName, uid types.UID) (_ *poll, anew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.all[key]
	if anew = known != nil && known.uid != uid; anew {
		delete(p.marks, key)
	}
	if known == nil || anew {
		known = &poll{uid: uid}
		p.all[key] = known
	}
	return known, anew
}

func (p *polls) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, key)
	delete(p.marks, key)
}

// change applies a change to the mark of key, and returns how it was before.
func (p *polls) change(key types.NamespacedName, change func(*mark)) (before mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before = p.marks[key]
	now := before
	change(&now)
	p.marks[key] = now
	return before
}

func (p *polls) mark(key types.NamespacedName) mark {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.marks[key]
}

// hurry has the next reconcile of key fetch at once. One that was never looked at is fetched anyway, if it exists.
func (p *polls) hurry(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[key] == nil {
		return
	}
	m := p.marks[key]
	m.hurried = true
	p.marks[key] = m
}

// hurried tells whether that was asked for since the last fetch of key began.
func (p *polls) hurried(key types.NamespacedName) bool { return p.mark(key).hurried }

// begun notes that a fetch of key begins, and tells whether it was hurried.
func (p *polls) begun(key types.NamespacedName) (hurried bool) {
	return p.change(key, func(m *mark) { m.hurried = false }).hurried
}

// keep notes that digest is in the store for key, and tells whether that is news.
func (p *polls) keep(key types.NamespacedName, digest string) (fresh bool) {
	return p.change(key, func(m *mark) { m.kept, m.problem = digest, "" }).kept != digest
}

// fail notes why the artifact of key can't be had, and tells whether that is news.
func (p *polls) fail(key types.NamespacedName, problem string) (fresh bool) {
	return p.change(key, func(m *mark) { m.problem = problem }).problem != problem
}

// newest is the digest that is known to be in the store for key, or empty.
func (p *polls) newest(key types.NamespacedName) string { return p.mark(key).kept }

// digests are all that must stay in the store.
func (p *polls) digests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]string, 0, len(p.marks))
	for _, m := range p.marks {
		if m.kept != "" {
			out = append(out, m.kept)
		}
	}
	return out
}
