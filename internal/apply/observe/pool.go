package observe

import (
	"context"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

// Options are how a pool watches.
type Options struct {
	// Manager is the field manager whose fields are watched for drift. Default: "kustomize-controller".
	Manager string
	// Group of the labels by which objects name their owner. Default: Flux's.
	Group string
	// ManagerOf names the field manager of an object by the name of its owner, where owners have one each. Nil: Manager.
	ManagerOf func(owner string) string
	// Assess judges the health of an object. Nil: no health is kept.
	Assess func(*unstructured.Unstructured) Verdict
	// NeedsBody tells which kinds must be watched whole. Nil: all.
	NeedsBody func(schema.GroupVersionKind) bool
	// Rules has a function called whenever Assess or NeedsBody may say something else of kinds than before; stop ends that. Objects of these
	// kinds are read and judged anew. Nil: they never do.
	Rules func(changed func(ofKind func(schema.GroupVersionKind) bool)) (stop func())
	// SyncTimeout is how long Ensure waits for the first list of a kind. Default: 10 s.
	SyncTimeout time.Duration
	// FirstBackoff and MaxBackoff are the shortest and the longest pause before a watch that failed is tried again.
	// Defaults: 250 ms and 1 min.
	FirstBackoff, MaxBackoff time.Duration
	// Allowance is the memory that states may take. Nil: whatever there is.
	Allowance *kube.Allowance
}

// wideAgain is how long a refusal to watch a kind in all namespaces is remembered.
const wideAgain = 10 * time.Minute

// Pool watches places for owners, each place once however many want it, and stops when nobody does any more. It is safe for
// concurrent use.
type Pool struct {
	clients *kube.Clients
	opts    Options
	ctx     context.Context //nolint:containedctx // the life of the watches, which end with Close and not with a request
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu       sync.RWMutex
	watchers map[key]*watcher
	at       map[place][]*watcher
	versions map[schema.GroupKind][]string
	holders  map[holder]map[key]struct{}
	held     map[key]int
	unruled  func()                                // ends Options.Rules
	narrow   map[schema.GroupVersionKind]time.Time // watching it in all namespaces was refused then
	subs     []func(Event)
}

// holder is who wants places watched: an owner, for one of several purposes.
type holder struct {
	owner string
	what  purpose
}

// purpose is what places are watched for.
type purpose string

const (
	applied purpose = ""       // the objects that the owner applied
	named   purpose = "named"  // single ones of others, for their health
	inputs  purpose = "inputs" // single ones that it reads
)

// New returns a pool that watches nothing yet. Close it in the end.
func New(clients *kube.Clients, opts Options) *Pool {
	if opts.Manager == "" {
		opts.Manager = "kustomize-controller"
	}
	if opts.Group == "" {
		opts.Group = DefaultGroup
	}
	if opts.SyncTimeout == 0 {
		opts.SyncTimeout = 10 * time.Second
	}
	if opts.FirstBackoff == 0 {
		opts.FirstBackoff = 250 * time.Millisecond
	}
	if opts.MaxBackoff == 0 {
		opts.MaxBackoff = time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pool{
		clients: clients, opts: opts, ctx: ctx, cancel: cancel,
		watchers: map[key]*watcher{}, at: map[place][]*watcher{}, versions: map[schema.GroupKind][]string{},
		holders: map[holder]map[key]struct{}{}, held: map[key]int{}, narrow: map[schema.GroupVersionKind]time.Time{},
	}
	if opts.Rules != nil {
		p.unruled = opts.Rules(p.judgeAnew)
	}
	return p
}

// Close ends all watches and waits until they have ended.
func (p *Pool) Close() {
	if p.unruled != nil {
		p.unruled()
	}
	p.cancel()
	p.wg.Wait()
}

// Subscribe has fn called for every event from now on. It is called by the goroutine that watches: it must not block.
func (p *Pool) Subscribe(fn func(Event)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subs = append(slices.Clone(p.subs), fn)
}

// inspect returns the state of an object as seen by the field manager of its owner.
func (o Options) inspect(obj metav1.Object) State {
	manager := o.Manager
	if o.ManagerOf != nil {
		manager = o.ManagerOf(obj.GetLabels()[o.Group+"/name"])
	}
	return InspectAs(obj, o.Group, manager)
}

func (p *Pool) emit(e Event) {
	p.mu.RLock()
	subs := p.subs
	p.mu.RUnlock()
	for _, fn := range subs {
		fn(e)
	}
}

// Get returns what is known of an object that the caller's owner applied. watched says that the object is looked at right now: if it is,
// and doesn't exist, then there is no object of that name with an owner label. If it isn't, nothing may be concluded.
//
// It doesn't matter as whom the object is watched. Ask GetNamed about objects of others, which not everybody may see.
func (p *Pool) Get(ref kube.Ref) (state State, exists, watched bool) {
	name := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	for _, w := range p.covering(ref) {
		s, found, live := w.get(name)
		if live && found {
			return s, true, true
		}
		watched = watched || live
	}
	return State{}, false, watched
}

// GetNamed returns what is known of an object whoever it belongs to, as far as an identity may know: only what EnsureNamed watches as
// that very identity counts. watched means the same as for Get, with or without an owner label.
func (p *Pool) GetNamed(id kube.Identity, ref kube.Ref) (state State, exists, watched bool) {
	name := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	for _, w := range p.named(id, ref) {
		s, found, live := w.get(name)
		if live && found {
			return s, true, true
		}
		watched = watched || live
	}
	return State{}, false, watched
}

// Progress returns the newest resource version that the watches of an object's kind have seen, "" if there are none. What was
// written later can't have been seen yet.
func (p *Pool) Progress(ref kube.Ref) string {
	newest := ""
	for _, w := range p.covering(ref) {
		if rv := w.progress(); newest == "" || kube.Older(newest, rv) {
			newest = rv
		}
	}
	return newest
}

// covering returns the watchers that may know an object, the most special first.
func (p *Pool) covering(ref kube.Ref) []*watcher {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []*watcher
	for _, gvk := range p.kindsOf(ref) {
		out = append(out, p.at[place{gvk: gvk, namespace: ref.Namespace, name: ref.Name}]...)
		out = append(out, p.at[place{gvk: gvk}]...)
		if ref.Namespace != "" {
			out = append(out, p.at[place{gvk: gvk, namespace: ref.Namespace}]...)
		}
	}
	return out
}

// named returns the watchers of single objects that look at an object as an identity.
func (p *Pool) named(id kube.Identity, ref kube.Ref) []*watcher {
	if ref.Name == "" {
		return nil
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []*watcher
	for _, gvk := range p.kindsOf(ref) {
		if w := p.watchers[key{place: place{gvk: gvk, namespace: ref.Namespace, name: ref.Name}, id: id}]; w != nil {
			out = append(out, w)
		}
	}
	return out
}

// kindsOf returns the kind of a reference in all versions that it may mean. It needs p.mu held.
func (p *Pool) kindsOf(ref kube.Ref) []schema.GroupVersionKind {
	if ref.Version != "" {
		return []schema.GroupVersionKind{ref.GroupVersionKind()}
	}
	versions := p.versions[ref.GroupKind()]
	out := make([]schema.GroupVersionKind, len(versions))
	for i, v := range versions {
		out[i] = ref.GroupKind().WithVersion(v)
	}
	return out
}

// Watch is a watch of the pool, for people to look at.
type Watch struct {
	Kind            schema.GroupVersionKind
	Namespace, Name string
	Identity        kube.Identity
	Objects         int
	// Err is why the watch isn't running; it is tried again.
	Err error
}

// Watches returns what the pool watches at the moment, in no order.
func (p *Pool) Watches() []Watch {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]Watch, 0, len(p.watchers))
	for k, w := range p.watchers {
		w.mu.RLock()
		out = append(out, Watch{Kind: k.gvk, Namespace: k.namespace, Name: k.name, Identity: k.id, Objects: len(w.objects), Err: w.err})
		w.mu.RUnlock()
	}
	return out
}
