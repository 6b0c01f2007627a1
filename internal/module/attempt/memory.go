package attempt

import (
	"sync"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// memory is what is remembered of modules. All of it may be lost: it saves requests.
type memory struct {
	mu      sync.Mutex
	entries map[string]*entry
}

// entry is what is remembered of one module. One reconcile at a time uses it; what watches write has a lock of its own.
type entry struct {
	written kube.Written[*v1alpha1.Module]
	// plan is the last good plan: with its objects while it is about to be carried out, without them while it waits; nil after a restart.
	plan *plan.Plan
	// approved is the digest whose approval was heeded.
	approved v1alpha1.Digest
	// sets are the revisions of the attempt that is under way.
	sets *sets
	// applied is the revision that this process has applied for an attempt.
	applied string
	// seen says that the current revision was compared with the cluster by this process; refs are its objects.
	seen    bool
	seenFor string // the revision that refs are of
	// found are the objects that were there before the module, as far as its revisions know.
	found []kube.Ref
	refs  []kube.Ref
	sweep time.Time // when it is compared again

	look lookout
	// degraded is since when objects are.
	degraded map[kube.Ref]time.Time
	// drift is when drift was corrected last, and how long the next correction has to wait for that.
	driftAt    time.Time
	driftPause time.Duration
	// told is what the last event said, so that it isn't said again.
	told string
	// settledFor is the rest whose revisions were told.
	settledFor string

	mu sync.Mutex
	// broke says that an object wasn't healthy since the last look.
	broke bool
	// nudged says that something changed that plans depend on.
	nudged bool
}

// lookout is when a module's source is asked again.
type lookout struct {
	at      time.Time // of the last look
	retry   time.Time // not before this, after a failure
	tries   int
	problem string // who didn't answer
	// for the spec and the request of this, the failure counts.
	generation int64
	requested  string
}

func newMemory() *memory { return &memory{entries: map[string]*entry{}} }

func (m *memory) of(module string) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[module]
	if e == nil {
		e = &entry{degraded: map[kube.Ref]time.Time{}}
		m.entries[module] = e
	}
	return e
}

func (m *memory) forget(module string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, module)
}

// names lists the modules that are known.
func (m *memory) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]string, 0, len(m.entries))
	for name := range m.entries {
		out = append(out, name)
	}
	return out
}

// flag sets what watches have seen.
func (e *entry) flag(set func(*entry)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set(e)
}

// take returns a flag, and lowers it.
func (e *entry) take(which func(*entry) *bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	flag := which(e)
	was := *flag
	*flag = false
	return was
}

func broke(e *entry) *bool  { return &e.broke }
func nudged(e *entry) *bool { return &e.nudged }
