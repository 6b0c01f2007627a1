package delivery

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/source"
)

// landed is how a fetch ended.
type landed struct {
	generation int64  // of the spec that it was made for
	token      string // of the request that was pending when it began
	snapshot   *source.Snapshot
	err        error
}

// flights are the fetches that are under way, one per source at most. They hold no worker: a Git server that doesn't answer keeps nobody
// waiting but the namespace that named it.
type flights struct {
	ctx context.Context //nolint:containedctx // the life of the agent, which fetches end with
	wg  sync.WaitGroup

	mu    sync.Mutex
	away  map[types.NamespacedName]bool
	ended map[types.NamespacedName]*landed
	// gates admit so many fetches of a namespace at once.
	gates map[string]chan struct{}
	width int
}

func newFlights(ctx context.Context, perNamespace int) *flights {
	return &flights{
		ctx: ctx, width: perNamespace,
		away: map[types.NamespacedName]bool{}, ended: map[types.NamespacedName]*landed{}, gates: map[string]chan struct{}{},
	}
}

// wait returns when all have ended.
func (f *flights) wait() { f.wg.Wait() }

// busy tells whether a fetch of key is under way.
func (f *flights) busy(key types.NamespacedName) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away[key]
}

// take returns how the fetch of key ended, once; nil if none has.
func (f *flights) take(key types.NamespacedName) *landed {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.ended[key]
	delete(f.ended, key)
	return end
}

// start runs fly, when the namespace has a place free, and calls done when its end can be taken.
func (f *flights) start(key types.NamespacedName, fly func(context.Context) *landed, done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[key] || f.ctx.Err() != nil {
		return
	}
	gate := f.gates[key.Namespace]
	if gate == nil {
		gate = make(chan struct{}, f.width)
		f.gates[key.Namespace] = gate
	}
	f.away[key] = true
	f.wg.Go(func() {
		var end *landed
		select {
		case gate <- struct{}{}:
			end = fly(f.ctx)
			<-gate
		case <-f.ctx.Done():
			end = &landed{err: f.ctx.Err()}
		}
		f.mu.Lock()
		delete(f.away, key)
		f.ended[key] = end
		f.mu.Unlock()
		done()
	})
}
