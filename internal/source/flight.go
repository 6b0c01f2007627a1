package source

import (
	"context"
	"sync"
)

// flights lets equal requests share one run. A run lasts as long as anybody
// waits for it; when the last one leaves, it is cancelled and waited for.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
}

type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	snap    *Snapshot
	err     error
}

func (f *flights) do(ctx context.Context, key string, run func(context.Context) (*Snapshot, error)) (*Snapshot, error) {
	fl := f.join(ctx, key, run)
	select {
	case <-fl.done:
		return fl.snap, fl.err
	case <-ctx.Done():
	}
	if f.leave(key, fl) {
		<-fl.done
	}
	return nil, ctx.Err()
}

func (f *flights) join(ctx context.Context, key string, run func(context.Context) (*Snapshot, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.byKey[key]; ok {
		fl.waiters++
		return fl
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	fl := &flight{done: make(chan struct{}), cancel: cancel, waiters: 1}
	f.byKey[key] = fl
	go func() {
		defer close(fl.done)
		defer cancel()
		defer f.remove(key, fl)
		defer guard(&fl.err)
		fl.snap, fl.err = run(runCtx)
	}()
	return fl
}

func (f *flights) remove(key string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey[key] == fl {
		delete(f.byKey, key)
	}
}

// leave reports whether the caller was the last one.
func (f *flights) leave(key string, fl *flight) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.waiters--
	if fl.waiters > 0 {
		return false
	}
	if f.byKey[key] == fl {
		delete(f.byKey, key)
	}
	fl.cancel()
	return true
}

// turns lets one at a time do something under a key.
type turns struct {
	mu    sync.Mutex
	byKey map[string]*turn
}

type turn struct {
	slot  chan struct{}
	users int
}

// take waits for its turn, or for ctx. The returned function ends the turn.
func (t *turns) take(ctx context.Context, key string) (end func(), err error) {
	t.mu.Lock()
	tn, ok := t.byKey[key]
	if !ok {
		tn = &turn{slot: make(chan struct{}, 1)}
		t.byKey[key] = tn
	}
	tn.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if tn.users--; tn.users == 0 {
			delete(t.byKey, key)
		}
	}
	select {
	case tn.slot <- struct{}{}:
		return func() { <-tn.slot; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
