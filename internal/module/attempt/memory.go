package attempt

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
	// due says that a plan was to be made, and had to wait for a lane.
	due bool
	// approved is the digest whose approval was heeded.
	approved v1alpha1.Digest
	// sets are the revisions of the attempt that is under way.
	sets *sets
	// applied is the revision that this process has applied for an attempt.
	applied string
	// refs are the objects of the revision refsFor.
	refs    []kube.Ref
	refsFor string
	// found are the objects that were there before the module, as far as its revisions know.
	found []kube.Ref
	// compared is how the current revision was compared with the cluster last.
	compared comparison

	look lookout
	// degraded is since when objects are.
	degraded map[kube.Ref]time.Time
	// drift is when drift was corrected last, and how long the next correction has to wait for that.
	driftAt    time.Time
	driftPause time.Duration
	// driftProblem is why the last correction wasn't finished; nil: it was.
	driftProblem *news
	// told is what the last event said, so that it isn't said again.
	told string
	// settledFor is the rest whose revisions were told.
	settledFor string

	// nudged says that something changed that plans depend on.
	nudged atomic.Bool
	mu     sync.Mutex
	// broke are the objects, without versions, that weren't healthy or were gone at some time since the last look.
	broke map[kube.Ref]bool
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

// breaks notes that an object isn't healthy, or gone.
func (e *entry) breaks(ref kube.Ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broke == nil {
		e.broke = map[kube.Ref]bool{}
	}
	e.broke[ref.Unversioned()] = true
}

// takeBroken tells whether one of these objects broke since it was asked last.
func (e *entry) takeBroken(objects []*unstructured.Unstructured) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	broke := e.broke
	e.broke = nil
	return slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return broke[kube.RefOf(o).Unversioned()] })
}
