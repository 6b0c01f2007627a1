package sources

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// landed is how a fetch ended.
type landed[T Object] struct {
	generation int64  // of the spec that it was made for
	token      string // of the request that was pending when it began
	got        fetched[T]
	err        error
	seen       time.Time // when it was first tried to record it
}

// gates admit so many fetches of a namespace at once, of all kinds together.
type gates struct {
	wg    sync.WaitGroup
	width int

	mu     sync.Mutex
	closed bool
	spaces map[string]chan struct{}
}

func newGates(perNamespace int) *gates {
	return &gates{width: perNamespace, spaces: map[string]chan struct{}{}}
}

func (g *gates) of(namespace string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.spaces[namespace] == nil {
		g.spaces[namespace] = make(chan struct{}, g.width)
	}
	return g.spaces[namespace]
}

// send runs a fetch, unless the gates are closed.
func (g *gates) send(fly func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.wg.Go(fly)
	}
	return !g.closed
}

// wait closes the gates and returns when all who went through have come back.
func (g *gates) wait() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
}

// flights are the fetches of one kind that are under way, one per source at most. They hold no worker: a server that doesn't answer
// keeps nobody waiting but the namespace that named it.
type flights[T Object] struct {
	ctx   context.Context //nolint:containedctx // the life of the agent, which fetches end with
	gates *gates

	mu    sync.Mutex
	away  map[types.NamespacedName]*flight
	ended map[types.NamespacedName]*landed[T]
}

// flight is a fetch that is under way.
type flight struct{ cancel context.CancelFunc }

func newFlights[T Object](ctx context.Context, gates *gates) *flights[T] {
	return &flights[T]{ctx: ctx, gates: gates, away: map[types.NamespacedName]*flight{}, ended: map[types.NamespacedName]*landed[T]{}}
}

// busy tells whether a fetch of key is under way.
func (f *flights[T]) busy(key types.NamespacedName) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away[key] != nil
}

// take returns how the fetch of key ended, once; nil if none has.
func (f *flights[T]) take(key types.NamespacedName) *landed[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.ended[key]
	delete(f.ended, key)
	return end
}

// keep has take return end once more, as it could not be recorded.
func (f *flights[T]) keep(key types.NamespacedName, end *landed[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[key] == nil && f.ended[key] == nil {
		f.ended[key] = end
	}
}

// forget breaks off the fetch of a source that is gone, and drops how it ended.
func (f *flights[T]) forget(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if away := f.away[key]; away != nil {
		away.cancel()
	}
	delete(f.away, key)
	delete(f.ended, key)
}

// start runs fly, when the namespace has a place free, and calls done when its end can be taken, or when there is nothing left of a
// forgotten one.
func (f *flights[T]) start(key types.NamespacedName, fly func(context.Context) *landed[T], done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[key] != nil || f.ctx.Err() != nil {
		return
	}
	gate := f.gates.of(key.Namespace)
	ctx, cancel := context.WithCancel(f.ctx)
	away := &flight{cancel: cancel}
	sent := f.gates.send(func() {
		defer cancel()
		var end *landed[T]
		select {
		case gate <- struct{}{}:
			end = fly(ctx)
			<-gate
		case <-ctx.Done():
			end = &landed[T]{err: ctx.Err()}
		}
		f.land(key, away, end)
		done()
	})
	if !sent {
		cancel()
		return
	}
	f.away[key] = away // its end waits for f.mu
}

// land notes how a fetch ended, unless it was forgotten.
func (f *flights[T]) land(key types.NamespacedName, away *flight, end *landed[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[key] != away {
		return
	}
	delete(f.away, key)
	f.ended[key] = end
}
