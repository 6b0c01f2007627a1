package apply

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// DefaultManager is the field manager that Flux's kustomize-controller applies as. With the same name objects pass from one
// to the other without a change.
const DefaultManager = "kustomize-controller"

// DefaultGroup is the API group under which owner labels are put.
const DefaultGroup = observe.DefaultGroup

// Owner is on whose behalf objects are applied. It ends in two labels of every object: <Group>/name and <Group>/namespace; only in the first
// one if it has no namespace.
type Owner struct {
	// Group defaults to DefaultGroup.
	Group           string
	Name, Namespace string
}

func (o Owner) withDefaults() Owner {
	o.Group = cmp.Or(o.Group, DefaultGroup)
	return o
}

func (o Owner) key() string { return o.Namespace + "/" + o.Name }

// words names the owner that a key and a group are about, for people.
func words(group, key string) string {
	if group == DefaultGroup {
		return "Kustomization " + key
	}
	return "module " + strings.TrimPrefix(key, "/")
}

// Options are how one set is applied.
type Options struct {
	Owner Owner
	// Force allows to delete and create again what can't be changed in place.
	Force bool
	// Identity is as whom requests are made.
	Identity kube.Identity
	// Drift is what becomes of changes by others to objects that don't say it themselves. Default: they are put back.
	Drift observe.Mode
	// Correct puts back also what is only warned of.
	Correct bool
	// Same says that the set is the one that was applied before, so that what differs from it in the cluster has drifted.
	Same bool
	// Continue applies what is valid of a set although something else of it is not. Nothing is proved before it is written.
	Continue bool
	// Ignore are the fields that others may change.
	Ignore *Ignore
	// Manager is the field manager. Default: DefaultManager.
	Manager string
	// Verify sends every object to the API server, whatever is remembered of it.
	Verify bool
}

func (o Options) withDefaults() Options {
	if o.Manager == "" {
		o.Manager = DefaultManager
	}
	o.Owner = o.Owner.withDefaults()
	return o
}

// Action is what was done with an object.
type Action string

const (
	// Created objects did not exist before.
	Created Action = "created"
	// Configured objects existed and were changed.
	Configured Action = "configured"
	// Unchanged objects were as they should be.
	Unchanged Action = "unchanged"
	// Skipped objects were left alone on purpose; Change.Note says why.
	Skipped Action = "skipped"
	// Drifted objects were changed by others and left so on request; Change.Fields says where.
	Drifted Action = "drifted"
	// Deleted objects are gone, or will be when their finalizers let them.
	Deleted Action = "deleted"
	// Recreated objects were deleted and created again, because a field that had to change can't.
	Recreated Action = "recreated"
)

// Change is what was done with one object.
type Change struct {
	Ref             kube.Ref
	Action          Action
	UID             types.UID
	ResourceVersion string
	// Drift says that the object was put back: it had been applied in the same form before.
	Drift bool
	// Mode is why a drifted object was left.
	Mode observe.Mode
	// Fields are where a drifted object differs; none: it was deleted, or nobody wants to know.
	Fields []FieldDrift
	// Note says why an object was skipped.
	Note string
}

// Result is what was done with a set, in the order in which sets are applied.
type Result struct {
	Changes []Change
}

// Observer knows the objects of the cluster without asking; observe.Pool is one.
type Observer interface {
	Get(ref kube.Ref) (state observe.State, exists, watched bool)
	Progress(ref kube.Ref) string
}

// Settings bound what the engine does at once and how long it waits.
type Settings struct {
	// Concurrency is how many requests of one set are under way at once. Default: 16.
	Concurrency int
	// Patience is how long an Apply waits for CRDs that it created to be established, and for objects that it deleted to be gone, before
	// it returns Incomplete. What another Apply did before is not waited for.
	// Default: 3 s.
	Patience time.Duration
	// RequestTimeout bounds one request; admission webhooks have up to 30 s. Default: 40 s.
	RequestTimeout time.Duration
	// Group of the owner labels that the observer goes by. What it says counts only for owners of that group. Default: DefaultGroup.
	Group string
	// Now is the time. Default: time.Now.
	Now func() time.Time
}

func (s Settings) withDefaults() Settings {
	if s.Concurrency <= 0 {
		s.Concurrency = 16
	}
	if s.Patience <= 0 {
		s.Patience = 3 * time.Second
	}
	if s.RequestTimeout <= 0 {
		s.RequestTimeout = 40 * time.Second
	}
	s.Group = cmp.Or(s.Group, DefaultGroup)
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}

// Engine applies sets. It remembers what it applied, so that what didn't change costs nothing. It is safe for concurrent use.
type Engine struct {
	clients  *kube.Clients
	observer Observer
	settings Settings
	memory   *memory

	mu sync.Mutex
	// cautious holds the owners whose last set was refused after something had been written.
	cautious map[Owner]struct{}
}

// New returns an engine. Without an observer nothing is known of the cluster, and every object is sent every time.
func New(clients *kube.Clients, observer Observer, settings Settings) *Engine {
	if observer == nil {
		observer = blind{}
	}
	return &Engine{
		clients: clients, observer: observer, settings: settings.withDefaults(),
		memory: newMemory(), cautious: map[Owner]struct{}{},
	}
}

// blind is an observer that sees nothing.
type blind struct{}

func (blind) Get(kube.Ref) (observe.State, bool, bool) { return observe.State{}, false, false }
func (blind) Progress(kube.Ref) string                 { return "" }

// Apply brings objs into the cluster, phase by phase: namespaces and CRDs, then what others refer to by class, then the rest. Within
// a phase nothing is written unless all of it is valid. The objects given are not changed. The result says what was done, also
// next to an error, which is one or several *Error, or *Incomplete when the set can't be finished yet.
func (e *Engine) Apply(ctx context.Context, objs []*unstructured.Unstructured, opts Options) (*Result, error) {
	r, err := e.beginWith(objs, opts)
	if err != nil {
		return &Result{}, err
	}
	err = r.phases(ctx)
	slices.SortStableFunc(r.result.Changes, func(a, b Change) int { return compareOrder(a.Ref, b.Ref) })
	return r.result, err
}

// InSync tells whether an object of an owner is seen in the cluster as it was applied last: the watch has come at least as far as our own write,
// and what we own is untouched. It is true also for objects that were skipped on purpose.
func (e *Engine) InSync(owner Owner, ref kube.Ref) bool {
	m, ok := e.memory.get(owner.withDefaults(), ref)
	if !ok {
		return false
	}
	if m.skipped {
		return true
	}
	s, exists, watched := e.observer.Get(ref)
	if !watched || !exists || m.behind(s) {
		return false
	}
	return m.left || m.keepsTo(s)
}

// Drifted tells whether somebody changed or deleted an object after its owner applied it. Another owner's apply counts. A watch that has not yet seen our own
// write tells nothing, and neither does an object that isn't watched.
func (e *Engine) Drifted(owner Owner, ref kube.Ref) bool {
	m, ok := e.memory.get(owner.withDefaults(), ref)
	if !ok || m.skipped {
		return false
	}
	s, exists, watched := e.observer.Get(ref)
	switch {
	case !watched:
		return false
	case !exists:
		return !e.unseen(ref, m)
	case m.behind(s):
		return false
	}
	return !m.keepsTo(s)
}

// Forget drops what is remembered of an owner's objects, so that they are looked at again when they are next applied.
func (e *Engine) Forget(owner Owner, refs ...kube.Ref) {
	for _, ref := range refs {
		e.memory.drop(owner.withDefaults(), ref)
	}
}

// unseen tells whether the watch has not yet come as far as our last write.
func (e *Engine) unseen(ref kube.Ref, m record) bool {
	return kube.Older(e.observer.Progress(ref), m.resourceVersion)
}

func (e *Engine) careful(o Owner) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.cautious[o]
	return ok
}

func (e *Engine) setCareful(o Owner, on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if on {
		e.cautious[o] = struct{}{}
	} else {
		delete(e.cautious, o)
	}
}
