package attempt

import (
	"context"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

// wakeup lets what is no watch of controller-runtime wake a module. The zero value is ready.
type wakeup struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

func (w *wakeup) source() source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue = queue
		return nil
	})
}

func (w *wakeup) wake(modules ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return
	}
	for _, m := range modules {
		w.queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: m}})
	}
}

// observed wakes the module of an object that changed. It is called by the goroutine that watches.
func (r *Reconciler) observed(e observe.Event) {
	if readers := r.inputs.of(e.Ref); len(readers) > 0 {
		r.Nudge(readers...)
	}
	module := ""
	for _, s := range []*observe.State{e.New, e.Old} {
		if s != nil && strings.HasPrefix(s.Owner, "/") && module == "" {
			module = s.Owner[1:]
		}
	}
	if module == "" {
		return
	}
	if e.New == nil || e.New.Unhealthy() {
		r.memory.of(module).breaks(e.Ref)
	}
	r.wakeup.wake(module)
}

// Nudge says that something changed that plans depend on: a catalogue, values, a grant, a module, what the cluster serves. Modules that
// are named, or all, look whether something else is wanted now.
func (r *Reconciler) Nudge(modules ...string) {
	if len(modules) == 0 {
		modules = r.memory.names()
	}
	for _, m := range modules {
		r.memory.of(m).nudged.Store(true)
	}
	r.wakeup.wake(modules...)
}

// tellOthers has those looked at that may wait for a module which has come to rest.
func (r *Reconciler) tellOthers(module string) {
	names := r.memory.names()
	r.wakeup.wake(slices.DeleteFunc(names, func(n string) bool { return n == module })...)
}
