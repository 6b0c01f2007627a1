// Package termtest has what tests of elections share.
package termtest

import (
	"sync"
	"testing"
)

// Floor is where those work who were elected. It is safe for concurrent use.
type Floor struct {
	mu      sync.Mutex
	working map[string]bool
	crowded []string
}

// NewFloor returns a floor on which nobody works. The test fails when it ends, if two have worked at once.
func NewFloor(t testing.TB) *Floor {
	f := &Floor{working: map[string]bool{}}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, said := range f.crowded {
			t.Error(said)
		}
	})
	return f
}

// Enter has somebody work.
func (f *Floor) Enter(who string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for other := range f.working {
		f.crowded = append(f.crowded, who+" began while "+other+" worked")
	}
	f.working[who] = true
}

// Leave has somebody work no longer.
func (f *Floor) Leave(who string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.working, who)
}

// Has says whether somebody works.
func (f *Floor) Has(who string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.working[who]
}
