package source

import (
	"context"
	"sync"
	"time"
)

// flights lets equal requests share one run. A run lasts as long as anybody
// waits for it; when the last one leaves, it is cancelled and waited for.
type flights struct {
	mu    sync.Mutex
	byKey map[string]*flight
}

// runner does what a flight is for. asked is when the server said what the run is about, or a time before that.
type runner func(context.Context) (snap *Snapshot, asked time.Time, err error)

type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	snap    *Snapshot
	asked   time.Time
	err     error
}

// do returns what a run under key found that asked at since or later. Of one that is under way only its end shows when it asked: if that
// was too early, as when somebody pushed meanwhile, it is waited for all the same, because what it brings needn't be brought again.
func (f *flights) do(ctx context.Context, key string, since time.Time, run runner) (*Snapshot, error) {
	for {
		fl, own := f.join(ctx, key, run)
		select {
		case <-fl.done:
			if own || !fl.asked.Before(since) {
				return fl.snap, fl.err
			}
			continue
		case <-ctx.Done():
		}
		if f.leave(key, fl) {
			<-fl.done
		}
		return nil, ctx.Err()
	}
}

// join returns the run that is under way, or begins one of the caller's own.
func (f *flights) join(ctx context.Context, key string, run runner) (fl *flight, own bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.byKey[key]; ok {
		fl.waiters++
		return fl, false
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	fl = &flight{done: make(chan struct{}), cancel: cancel, waiters: 1}
	f.byKey[key] = fl
	go func() {
		defer close(fl.done)
		defer cancel()
		defer f.remove(key, fl)
		defer guard(&fl.err)
		fl.snap, fl.asked, fl.err = run(runCtx)
	}()
	return fl, true
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
