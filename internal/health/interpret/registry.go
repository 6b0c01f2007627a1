package interpret

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/health"
)

// Registry knows which interpreter speaks for an object: of those whose target covers it the one of the highest priority, of these the one that says most exactly what it is for (a kind before all kinds of a group, a group before those that end alike,
// fewer versions before more before all), of these the one whose name comes first. Those that come with Slipway are asked last. Without any,
// the rules of package health decide.
//
// It is safe for concurrent use. Looking up takes no lock; the zero value and nil have no interpreters.
type Registry struct {
	changing sync.Mutex
	named    map[string]*entry // those that were set, by name
	ready    []*entry          // those that come with Slipway
	table    atomic.Pointer[table]

	watchers map[int]func(Changed)
	watched  int // counts them
}

// Changed tells of a kind whether another interpreter speaks for it than before, or the same in another wording.
type Changed func(schema.GroupVersionKind) bool

// entry is an interpreter with its name.
type entry struct {
	name   string
	target Target
	rank   int32 // the priority; readyRank: comes with Slipway
	judges func() bool
	get    func() *Interpreter
}

// readyRank is below every priority.
const readyRank = -1

// table finds entries by kind. It is never changed, only replaced.
type table struct {
	byKind map[schema.GroupKind][]*entry // best first
	many   []*entry                      // those for several kinds, best first
}

// NewRegistry returns a registry that knows the ready-made interpreters. Those are compiled when the first object of their kind comes.
func NewRegistry(readyMade ...ReadyMade) *Registry {
	r := &Registry{named: map[string]*entry{}}
	for _, one := range readyMade {
		r.ready = append(r.ready, &entry{name: one.Name, target: one.Target, rank: readyRank, judges: sync.OnceValue(one.judges), get: sync.OnceValue(one.compiled)})
	}
	r.rebuild()
	return r
}

// Set makes the registry use an interpreter under a name, in the place of the one that had the name before.
func (r *Registry) Set(name string, i *Interpreter) {
	r.change(func(named map[string]*entry) bool {
		named[name] = &entry{name: name, target: i.target, rank: i.priority, judges: i.Judges, get: func() *Interpreter { return i }}
		return true
	})
}

// Delete makes the registry forget the interpreter of that name.
func (r *Registry) Delete(name string) {
	r.change(func(named map[string]*entry) bool {
		_, there := named[name]
		delete(named, name)
		return there
	})
}

// Watch has fn called after every change, until stop is called. It is called by whoever makes the change: it must not block, nor change the
// registry.
func (r *Registry) Watch(fn func(Changed)) (stop func()) {
	r.changing.Lock()
	defer r.changing.Unlock()
	if r.watchers == nil {
		r.watchers = map[int]func(Changed){}
	}
	r.watched++
	n := r.watched
	r.watchers[n] = fn
	return func() {
		r.changing.Lock()
		defer r.changing.Unlock()
		delete(r.watchers, n)
	}
}

// change makes a change, if it is one, and tells who watches.
func (r *Registry) change(do func(named map[string]*entry) bool) {
	r.changing.Lock()
	if r.named == nil {
		r.named = map[string]*entry{}
	}
	old := r.table.Load()
	if !do(r.named) {
		r.changing.Unlock()
		return
	}
	r.rebuild()
	now, told := r.table.Load(), slices.Collect(maps.Values(r.watchers))
	r.changing.Unlock()
	for _, fn := range told {
		fn(func(gvk schema.GroupVersionKind) bool { return old.find(gvk) != now.find(gvk) })
	}
}

// Rival returns the interpreter that speaks in the place of one that was set, for all of the kinds and versions that it is for. False: it
// speaks, at least for some.
func (r *Registry) Rival(name string) (rival string, ok bool) {
	r.changing.Lock()
	defer r.changing.Unlock()
	e := r.named[name]
	if e == nil {
		return "", false
	}
	for _, other := range slices.SortedFunc(maps.Values(r.named), better) {
		if other == e {
			return "", false // those that follow are asked after it
		}
		if other.target.includes(e.target) {
			return other.name, true
		}
	}
	return "", false
}

// rebuild makes the table anew; the caller holds the lock.
func (r *Registry) rebuild() {
	t := &table{byKind: map[schema.GroupKind][]*entry{}}
	all := slices.SortedFunc(maps.Values(r.named), better)
	ready := slices.SortedFunc(slices.Values(r.ready), better)
	for _, e := range slices.Concat(all, ready) {
		if e.target.single() {
			t.byKind[e.target.groupKind()] = append(t.byKind[e.target.groupKind()], e)
		} else {
			t.many = append(t.many, e)
		}
	}
	r.table.Store(t)
}

// better orders entries, the best first.
func better(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(b.rank, a.rank),
		cmp.Compare(b.target.specificity(), a.target.specificity()),
		cmp.Compare(a.name, b.name),
	)
}

// find gives the best entry for a kind.
func (r *Registry) find(gvk schema.GroupVersionKind) *entry {
	if r == nil {
		return nil
	}
	return r.table.Load().find(gvk)
}

func (t *table) find(gvk schema.GroupVersionKind) *entry {
	if t == nil {
		return nil
	}
	var best *entry
	for _, list := range [][]*entry{t.byKind[gvk.GroupKind()], t.many} {
		for _, e := range list { // the first that covers the version is the best of its list
			if e.target.covers(gvk) {
				if best == nil || better(e, best) < 0 {
					best = e
				}
				break
			}
		}
	}
	return best
}

// Assess judges an object by its interpreter, or as health.Assess does where there is none.
func (r *Registry) Assess(obj *unstructured.Unstructured) health.Verdict {
	if obj != nil && len(obj.Object) > 0 {
		if e := r.find(obj.GroupVersionKind()); e != nil && e.judges() { // others need not even be compiled
			return e.get().Assess(obj)
		}
	}
	return health.Assess(obj)
}

// Interpret says all that there is to say of an object, and who has said it; an empty name: nobody but package health.
func (r *Registry) Interpret(obj *unstructured.Unstructured) (Result, string) {
	if obj != nil && len(obj.Object) > 0 {
		if e := r.find(obj.GroupVersionKind()); e != nil {
			return e.get().Interpret(obj), e.name
		}
	}
	return Result{Health: health.Assess(obj)}, ""
}

// NeedsBody says whether judging a kind takes more than an object's metadata.
func (r *Registry) NeedsBody(gvk schema.GroupVersionKind) bool {
	return r.find(gvk) != nil || health.NeedsBody(gvk)
}

// String lists the names of the interpreters that were set, for logs.
func (r *Registry) String() string {
	r.changing.Lock()
	defer r.changing.Unlock()
	return fmt.Sprint(slices.Sorted(maps.Keys(r.named)))
}
