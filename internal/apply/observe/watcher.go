package observe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// pageSize is how many objects one answer to a list holds; each page is dropped once its states are taken.
	pageSize = 500
	// watchFor is after how long the API server ends a watch at the earliest; at the latest after twice that. Watches that end
	// are taken up again where they ended.
	watchFor = 5 * time.Minute
	// shortWatch is a watch that failed although it was accepted: it is not taken up at once.
	shortWatch = time.Second
	// maxTexts bounds how many different texts of verdicts are shared.
	maxTexts = 1024
)

// place is what a watcher looks at: a kind, in one namespace or in all, one object or all that have an owner label.
type place struct {
	gvk             schema.GroupVersionKind
	namespace, name string
}

// key names a watcher: the same place may be watched in the name of several service accounts, and for every change or only those of what
// is ours and of health.
type key struct {
	place
	id    kube.Identity
	every bool
}

// lister reads and watches one place, as whole objects or as metadata.
type lister interface {
	list(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error)
	watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// watcher keeps the states of the objects of one place. It lists once, then watches, and lists again only when the API server
// has forgotten where the watch was.
type watcher struct {
	key     key
	label   string // of the owner's name
	inspect func(metav1.Object) State
	assess  func(*unstructured.Unstructured) Verdict
	emit    func(Event)
	backoff backoff
	stop    context.CancelFunc

	// kick makes a watcher that waits after a failure try at once.
	kick chan struct{}

	mu sync.RWMutex
	// from is what reads the place; interrupt ends the reading that is under way.
	from      lister
	interrupt context.CancelFunc
	objects   map[types.NamespacedName]State
	texts     map[string]string
	kept      kept
	// upTo is the newest resource version that was seen.
	upTo string
	// err is why the place is not watched at the moment.
	err error
	// listed says that objects holds what was there when the watch began.
	listed bool
	// settled says that an attempt to watch has succeeded or failed; changed is closed, and replaced, whenever one does.
	settled bool
	changed chan struct{}
}

func newWatcher(k key, from lister, opts Options) *watcher {
	return &watcher{
		key: k, from: from, label: opts.Group + "/name", inspect: opts.inspect, assess: opts.Assess, backoff: backoff{opts.FirstBackoff, opts.MaxBackoff},
		kick: make(chan struct{}, 1), changed: make(chan struct{}),
		objects: map[types.NamespacedName]State{}, texts: map[string]string{},
	}
}

// run watches until the context ends.
func (w *watcher) run(ctx context.Context) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.kept.clear()
	}()
	failures := 0
	for ctx.Err() == nil {
		turn, from := w.turn(ctx)
		rv, err := w.list(turn, from)
		if err == nil {
			failures = 0
			w.settle(nil)
			err = w.follow(turn, from, rv)
		}
		if err == nil || turn.Err() != nil {
			continue
		}
		w.settle(err)
		w.pause(turn, failures)
		failures++
	}
}

// turn begins a reading of the place: a list and the watches after it. It ends with the context, or when the place is to be read anew.
func (w *watcher) turn(ctx context.Context) (context.Context, lister) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.interrupt != nil {
		w.interrupt() // the former one has ended
	}
	ctx, w.interrupt = context.WithCancel(ctx)
	return ctx, w.from
}

// anew has the place read from the beginning, by another reader.
func (w *watcher) anew(from lister) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = from
	if w.interrupt != nil {
		w.interrupt()
	}
}

// follow watches from a resource version on, over as many requests as that takes. It returns nil when a new list is needed, an error
// when the place can't be watched any more. Where the API server only isn't there at the moment, it goes on from where it was.
func (w *watcher) follow(ctx context.Context, from lister, rv string) error {
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		next, err := w.once(ctx, from, rv)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whatever the request says of its end
		case expired(err):
			return nil
		case tooLarge(err):
			return err
		case err == nil && (next != rv || time.Since(began) >= shortWatch):
			rv, failures = next, 0
		case err == nil:
			w.pause(ctx, failures)
			failures++
		case away(err):
			w.settle(err)
			w.pause(ctx, failures)
			failures++
		default:
			return err
		}
	}
	return nil
}

// once makes one watch request and takes its events until it ends. It returns the newest resource version it saw.
func (w *watcher) once(ctx context.Context, from lister, rv string) (string, error) {
	seconds := int64((watchFor + rand.N(watchFor)).Seconds()) //nolint:gosec // spreads load, hides nothing
	opts := w.options()
	opts.ResourceVersion, opts.AllowWatchBookmarks, opts.TimeoutSeconds = rv, true, &seconds
	stream, err := from.watch(ctx, opts)
	if err != nil {
		return rv, fmt.Errorf("watch: %w", err)
	}
	defer stream.Stop()
	w.settle(nil)
	for {
		select {
		case <-ctx.Done():
			return rv, nil
		case e, open := <-stream.ResultChan():
			if !open {
				return rv, nil
			}
			if e.Type == watch.Error {
				return rv, fmt.Errorf("watch: %w", apierrors.FromObject(e.Object))
			}
			seen, err := w.take(e)
			if err != nil {
				return rv, err
			}
			if seen != "" {
				rv = seen
			}
		}
	}
}

// take notes one event of the watch, and returns its resource version. An error means that there is no room for the object.
func (w *watcher) take(e watch.Event) (string, error) {
	obj, err := meta.Accessor(e.Object)
	if err != nil {
		return "", nil //nolint:nilerr // what has no metadata tells nothing
	}
	name := types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	var event *Event
	w.mu.Lock()
	w.upTo = obj.GetResourceVersion()
	var had int64
	if old, known := w.objects[name]; known {
		had = sizeOf(name, old)
	}
	switch e.Type {
	case watch.Added, watch.Modified:
		s := w.state(e.Object, obj)
		if err = w.kept.add(sizeOf(name, s) - had); err == nil {
			event = w.set(name, s)
		}
	case watch.Deleted:
		err = w.kept.add(-had)
		event = w.drop(name)
	}
	w.mu.Unlock()
	if event != nil {
		w.emit(*event)
	}
	return obj.GetResourceVersion(), err
}

// list replaces what is known by what is there, and tells of the differences if somebody may have relied on what was known.
func (w *watcher) list(ctx context.Context, from lister) (_ string, err error) {
	found, taken := map[types.NamespacedName]State{}, kept{allowance: w.kept.allowance}
	defer func() {
		if err != nil {
			taken.clear()
		}
	}()
	opts := w.options()
	opts.Limit = pageSize
	for {
		page, err := from.list(ctx, opts)
		if tooLarge(err) && opts.Limit > 1 {
			opts.Limit /= 2
			continue
		}
		if err != nil {
			return "", fmt.Errorf("list: %w", err)
		}
		items, err := meta.ListAccessor(page)
		if err != nil {
			return "", fmt.Errorf("list: %w", err)
		}
		err = meta.EachListItem(page, func(o runtime.Object) error {
			obj, err := meta.Accessor(o)
			if err != nil {
				return err
			}
			name := types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
			w.mu.Lock()
			s := w.state(o, obj)
			w.mu.Unlock()
			found[name] = s
			return taken.add(sizeOf(name, s))
		})
		if err != nil {
			return "", fmt.Errorf("list: %w", err)
		}
		if opts.Continue = items.GetContinue(); opts.Continue == "" {
			w.replace(found, taken, items.GetResourceVersion())
			return items.GetResourceVersion(), nil
		}
	}
}

func (w *watcher) replace(found map[types.NamespacedName]State, taken kept, rv string) {
	var events []*Event
	w.mu.Lock()
	quiet := !w.settled // nobody was told anything yet: who waits for the first list looks after it
	for name := range w.objects {
		if _, ok := found[name]; !ok {
			events = append(events, w.drop(name))
		}
	}
	for name, s := range found {
		events = append(events, w.set(name, s))
	}
	w.kept.clear()
	w.kept = taken
	w.upTo, w.listed = rv, true
	w.mu.Unlock()
	for _, e := range events {
		if e != nil && !quiet {
			w.emit(*e)
		}
	}
}

// set needs w.mu held.
func (w *watcher) set(name types.NamespacedName, s State) *Event {
	old, known := w.objects[name]
	w.objects[name] = s
	switch {
	case !known:
		return &Event{Ref: w.ref(name), New: &s}
	case old.differs(s), w.key.every && old.ResourceVersion != s.ResourceVersion:
		return &Event{Ref: w.ref(name), Old: &old, New: &s}
	}
	return nil
}

// drop needs w.mu held.
func (w *watcher) drop(name types.NamespacedName) *Event {
	old, known := w.objects[name]
	if !known {
		return nil
	}
	delete(w.objects, name)
	return &Event{Ref: w.ref(name), Old: &old}
}

func (w *watcher) ref(name types.NamespacedName) kube.Ref {
	gvk := w.key.gvk
	return kube.Ref{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind, Namespace: name.Namespace, Name: name.Name}
}

// state needs w.mu held.
func (w *watcher) state(o runtime.Object, obj metav1.Object) State {
	s := w.inspect(obj)
	s.Owner = w.shared(s.Owner)
	if w.assess != nil {
		s.Health = w.assess(w.body(o, obj))
		s.Health.Reason, s.Health.Message = w.shared(s.Health.Reason), w.shared(s.Health.Message)
	}
	return s
}

// body returns the object to assess. Where only metadata is watched it has little more than a name.
func (w *watcher) body(o runtime.Object, obj metav1.Object) *unstructured.Unstructured {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return u
	}
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetGroupVersionKind(w.key.gvk)
	u.SetName(obj.GetName())
	u.SetNamespace(obj.GetNamespace())
	u.SetGeneration(obj.GetGeneration())
	u.SetDeletionTimestamp(obj.GetDeletionTimestamp())
	return u
}

// shared returns one copy of texts that many states have. It needs w.mu held.
func (w *watcher) shared(text string) string {
	if have, ok := w.texts[text]; ok {
		return have
	}
	if len(w.texts) >= maxTexts {
		clear(w.texts)
	}
	w.texts[text] = text
	return text
}

func (w *watcher) options() metav1.ListOptions {
	if w.key.name != "" {
		return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, w.key.name).String()}
	}
	return metav1.ListOptions{LabelSelector: w.label}
}
