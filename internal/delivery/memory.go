package delivery

import (
	"slices"
	"strings"
	"sync"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/mask"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// past is what an attempt that ended was made of.
type past struct {
	generation int64
	modes      modes
	inputs     string    // their digest
	mask       mask.Mask // hides the secrets that went into it
	revision   string
	artifact   string // digest of the source's artifact
	reads      build.Reads
	digest     string // of the rendered objects
	refs       []kube.Ref
	written    []kube.Ref          // of refs, those that are not left alone on request
	transient  map[kube.Ref]string // see transients
	rules      *health.Rules       // of healthCheckExprs
	unwatched  bool
	ended      time.Time // of the attempt
	looked     time.Time // at the inputs that are not watched
	failed     bool
	retry      time.Duration // after which a failed one is made again
	// pending is since when the set could not be applied as a whole; zero: it could.
	pending time.Time
}

// like tells whether two attempts, one after the other, were for the same objects in the same form.
func (p *past) like(o *past) bool { return p.generation == o.generation && p.digest == o.digest }

// wait is the health that a Kustomization's Ready depends on. It stays after the objects became healthy, so that Ready follows them.
type wait struct {
	refs     []kube.Ref
	started  time.Time
	deadline time.Time
	state    waitState
	// announced: the status says that the wait is on.
	announced bool
	// told is when the status last said what it is held up by.
	told time.Time
	// changed: the attempt that it began with changed something, which is told when it ends.
	changed bool
	// trace is where the attempt that began it is in its trace.
	trace telemetry.Mark
}

type waitState string

const (
	waitOpen    waitState = "open"    // not all healthy, before the deadline
	waitSettled waitState = "settled" // all were healthy when last looked at
	waitFailed  waitState = "failed"  // one failed, or the deadline passed
)

// entry is what is remembered of one Kustomization. Except for touched it belongs to the worker that reconciles the object; there is
// never more than one.
type entry struct {
	uid   types.UID
	since time.Time // it is known
	// target is where the object was applied last, or is about to be.
	target  *target
	past    *past
	wait    *wait
	written kube.Written[*kustomizev1.Kustomization]

	// blind: some of what the spec refers to in the cluster can't be watched.
	blind bool
	// inventory is what the next write of the status has to say of it; nil: what it says already.
	inventory *kustomizev1.ResourceInventory

	contest contest
	// drifted: some objects differ from what was applied and are left so, and the status says it.
	drifted bool
	// news are the changes that no event tells of yet.
	news []string
	// recordAt is when a revision that changed nothing is recorded at the latest; zero: there is none.
	recordAt time.Time
	// unanswered is how often in a row an attempt failed because the API server gave no answer.
	unanswered int
	// ignore is spec.ignore of the generation ignoring.
	ignore   *apply.Ignore
	ignoring int64
	// exprs are the compiled expressions of dependsOn, by their text.
	exprs map[string]*health.ReadyExpr
	// blocked: the status says that something stands in the way.
	blocked bool

	mu      sync.Mutex
	touched map[kube.Ref]struct{} // unversioned
	// kinds: the cluster serves other kinds than when the last attempt failed for want of one.
	kinds bool
}

// takeNews returns the changes that no event tells of yet, a line each.
func (e *entry) takeNews() string {
	news := strings.Join(e.news, "\n")
	e.news = nil
	return news
}

// touch notes that ref changed in the cluster.
func (e *entry) touch(ref kube.Ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.touched == nil {
		e.touched = map[kube.Ref]struct{}{}
	}
	e.touched[ref] = struct{}{}
}

// takeTouched returns what changed since it was last called, and whether the kinds that are served did.
func (e *entry) takeTouched() (touched map[kube.Ref]struct{}, kinds bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	touched, kinds = e.touched, e.kinds
	e.touched, e.kinds = nil, false
	return touched, kinds
}

// memory holds the entries, and who is concerned by which object of the cluster.
type memory struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	byRef   map[kube.Ref]map[types.NamespacedName]struct{} // unversioned
	refs    map[types.NamespacedName][]kube.Ref
	// lacking are those whose last attempt failed because the cluster doesn't serve a kind.
	lacking map[types.NamespacedName]struct{}
}

// len is how many Kustomizations are known.
func (m *memory) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

func newMemory() *memory {
	return &memory{
		entries: map[types.NamespacedName]*entry{},
		byRef:   map[kube.Ref]map[types.NamespacedName]struct{}{},
		refs:    map[types.NamespacedName][]kube.Ref{},
		lacking: map[types.NamespacedName]struct{}{},
	}
}

// of returns the entry of key, a new one if there is none.
func (m *memory) of(key types.NamespacedName) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil {
		e = &entry{}
		m.entries[key] = e
	}
	return e
}

// follow makes key the one to wake when any of refs changes, instead of those it followed before.
func (m *memory) follow(key types.NamespacedName, refs []kube.Ref) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unfollow(key)
	for _, ref := range refs {
		ref = ref.Unversioned()
		if m.byRef[ref] == nil {
			m.byRef[ref] = map[types.NamespacedName]struct{}{}
		}
		m.byRef[ref][key] = struct{}{}
	}
	m.refs[key] = refs
}

// alsoFollow adds refs to those that key is woken for.
func (m *memory) alsoFollow(key types.NamespacedName, refs []kube.Ref) {
	m.mu.Lock()
	all := slices.Clone(m.refs[key])
	m.mu.Unlock()
	for _, ref := range refs {
		if !contains(all, ref) {
			all = append(all, ref)
		}
	}
	m.follow(key, all)
}

// unfollow needs m.mu held.
func (m *memory) unfollow(key types.NamespacedName) {
	for _, ref := range m.refs[key] {
		ref = ref.Unversioned()
		delete(m.byRef[ref], key)
		if len(m.byRef[ref]) == 0 {
			delete(m.byRef, ref)
		}
	}
	delete(m.refs, key)
}

// let makes key follow nothing any more, and returns what it followed.
func (m *memory) let(key types.NamespacedName) []kube.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	refs := m.refs[key]
	m.unfollow(key)
	return refs
}

// touch notes that ref changed and returns whom it concerns.
func (m *memory) touch(ref kube.Ref) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	ref = ref.Unversioned()
	keys := make([]types.NamespacedName, 0, len(m.byRef[ref]))
	for key := range m.byRef[ref] {
		if e := m.entries[key]; e != nil {
			e.touch(ref)
		}
		keys = append(keys, key)
	}
	return keys
}

// forget drops all that is known of key and returns the objects it followed.
func (m *memory) forget(key types.NamespacedName) []kube.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	refs := m.refs[key]
	m.unfollow(key)
	delete(m.entries, key)
	delete(m.lacking, key)
	return refs
}

// lack notes whether key waits for a kind to be served.
func (m *memory) lack(key types.NamespacedName, lacks bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if lacks {
		m.lacking[key] = struct{}{}
	} else {
		delete(m.lacking, key)
	}
}

// kindsChanged notes that the cluster serves other kinds, and returns whom that may help.
func (m *memory) kindsChanged() []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]types.NamespacedName, 0, len(m.lacking))
	for key := range m.lacking {
		if e := m.entries[key]; e != nil {
			e.mu.Lock()
			e.kinds = true
			e.mu.Unlock()
			keys = append(keys, key)
		}
	}
	return keys
}
