package receiver

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Bounds of what callers may do. What they protect is the agent; a call that is refused by one costs its sender a delivery, and the
// source its interval at most.
const (
	// maxAtOnce is how many calls to one Receiver are looked at at once. Others wait, before a byte of their body is read.
	maxAtOnce = 4
	// maxNamespaceAtOnce is how many calls to all Receivers of a namespace are: whoever makes more Receivers has no more places.
	maxNamespaceAtOnce = 8
	// maxWaking is how many calls wake objects at once, in all namespaces. They have been read and have proved who they are.
	maxWaking = 16
	// maxDecoded is how many decoded bodies may be in memory at once. A namespace has one of them at a time.
	maxDecoded = 2
	// patience is how long a call waits.
	patience = 5 * time.Second
	// maxMistakes is how many calls in a row may fail to prove who they are; then one more is looked at in every mistakePause.
	maxMistakes  = 10
	mistakePause = 2 * time.Second
)

// gates bound the calls to each Receiver that nobody vouches for yet, and what those may make the agent do that have proved who they are.
type gates struct {
	clock   clock.PassiveClock
	waking  chan struct{} // one place for each call that wakes objects
	decoded chan struct{} // one place for each decoded body that is in memory

	mu         sync.Mutex
	each       map[types.NamespacedName]*gate
	namespaces map[string]*tenant
}

// tenant is what the Receivers of one namespace share.
type tenant struct {
	places  chan struct{}
	decoded chan struct{}
}

type gate struct {
	*tenant

	places chan struct{}

	mu sync.Mutex
	// mistakes that have not been forgiven at the time since.
	mistakes int
	since    time.Time
}

func newGates(c clock.PassiveClock) *gates {
	return &gates{
		clock: c, waking: make(chan struct{}, maxWaking), decoded: make(chan struct{}, maxDecoded),
		each: map[types.NamespacedName]*gate{}, namespaces: map[string]*tenant{},
	}
}

// enter lets a call in when there is a place, or says why not. Whoever is let in calls leave, with whether it failed to prove who it was.
func (g *gates) enter(ctx context.Context, key types.NamespacedName) (leave func(mistaken bool), refused *refusal) {
	it := g.of(key)
	free, refused := queue(ctx, it.places)
	if refused != nil {
		return nil, refused
	}
	if it.blamed(g.clock.Now(), 0) >= maxMistakes {
		free()
		return nil, refuse(tooMany, "too many calls with a wrong signature; the next one is looked at in a moment")
	}
	freeAll, refused := queue(ctx, it.tenant.places)
	if refused != nil {
		free()
		return nil, refused
	}
	return func(mistaken bool) {
		if mistaken {
			it.blamed(g.clock.Now(), 1)
		}
		freeAll()
		free()
	}, nil
}

// work lets a call wake objects that has proved who it is. With decode it may also decode its body, which becomes many times larger than it was.
func (g *gates) work(ctx context.Context, key types.NamespacedName, decode bool) (leave func(), refused *refusal) {
	if !decode {
		return queue(ctx, g.waking)
	}
	return queue(ctx, g.of(key).tenant.decoded, g.decoded, g.waking) // its own first: who waits for that holds nobody up
}

// queue takes one of each kind of places, one after the other, and gives them back with leave; or it says that none became free in time.
func queue(ctx context.Context, places ...chan struct{}) (leave func(), refused *refusal) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, p := range places {
		if take(ctx, p) {
			continue
		}
		for _, taken := range places[:i] {
			<-taken
		}
		return nil, refuse(tooMany, "too many calls at once; try again in a moment")
	}
	return func() {
		for _, p := range places {
			<-p
		}
	}, nil
}

func take(ctx context.Context, places chan<- struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *gates) of(key types.NamespacedName) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.each[key] == nil {
		if g.namespaces[key.Namespace] == nil {
			g.namespaces[key.Namespace] = &tenant{places: make(chan struct{}, maxNamespaceAtOnce), decoded: make(chan struct{}, 1)}
		}
		g.each[key] = &gate{tenant: g.namespaces[key.Namespace], places: make(chan struct{}, maxAtOnce), since: g.clock.Now()}
	}
	return g.each[key]
}

// blamed adds mistakes, forgives one for each pause that has passed, and returns how many are left.
func (it *gate) blamed(now time.Time, more int) int {
	it.mu.Lock()
	defer it.mu.Unlock()
	if pauses := int(now.Sub(it.since) / mistakePause); pauses > 0 {
		it.mistakes = max(0, it.mistakes-pauses)
		it.since = it.since.Add(time.Duration(pauses) * mistakePause)
	}
	it.mistakes += more
	return it.mistakes
}

func (g *gates) forget(key types.NamespacedName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.each, key)
	for other := range g.each {
		if other.Namespace == key.Namespace {
			return
		}
	}
	delete(g.namespaces, key.Namespace)
}
