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
	// maxAllAtOnce is how many calls to all of them are.
	maxAllAtOnce = 16
	// patience is how long a call waits.
	patience = 5 * time.Second
	// maxMistakes is how many calls in a row may fail to prove who they are; then one more is looked at in every mistakePause.
	maxMistakes  = 10
	mistakePause = 2 * time.Second
)

// gates bound the calls to each Receiver that nobody vouches for yet.
type gates struct {
	clock clock.PassiveClock
	all   chan struct{} // one place for each call to any Receiver

	mu   sync.Mutex
	each map[types.NamespacedName]*gate
}

type gate struct {
	places chan struct{}

	mu sync.Mutex
	// mistakes that have not been forgiven at the time since.
	mistakes int
	since    time.Time
}

func newGates(c clock.PassiveClock) *gates {
	return &gates{clock: c, all: make(chan struct{}, maxAllAtOnce), each: map[types.NamespacedName]*gate{}}
}

// enter lets a call in when there is a place, or says why not. Whoever is let in calls leave, with whether it failed to prove who it was.
func (g *gates) enter(ctx context.Context, key types.NamespacedName) (leave func(mistaken bool), refused *refusal) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	it := g.of(key)
	if !take(ctx, it.places) {
		return nil, refuse(tooMany, "too many calls at once; try again in a moment")
	}
	if it.blamed(g.clock.Now(), 0) >= maxMistakes {
		<-it.places
		return nil, refuse(tooMany, "too many calls with a wrong signature; the next one is looked at in a moment")
	}
	if !take(ctx, g.all) {
		<-it.places
		return nil, refuse(tooMany, "too many calls at once; try again in a moment")
	}
	return func(mistaken bool) {
		if mistaken {
			it.blamed(g.clock.Now(), 1)
		}
		<-g.all
		<-it.places
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
		g.each[key] = &gate{places: make(chan struct{}, maxAtOnce), since: g.clock.Now()}
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
}
