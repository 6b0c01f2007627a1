package sources

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
)

// collectPause is how long what can be freed is left to gather: a thousand sources that move at once are one collection.
const collectPause = 2 * time.Second

// collector frees what no source needs any more, beside what the reconcilers do.
type collector struct {
	ctx  context.Context
	free func(ctx context.Context) error

	mu    sync.Mutex
	due   bool
	ended bool
	work  sync.WaitGroup
}

// end returns when no collection is under way; none begins any more.
func (c *collector) end() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.work.Wait()
}

// soon has a collection made in a moment, for all who ask until then.
func (c *collector) soon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due || c.ended || c.ctx.Err() != nil {
		return
	}
	c.due = true
	c.work.Go(func() {
		timer := time.NewTimer(collectPause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			return
		}
		c.mu.Lock()
		c.due = false
		c.mu.Unlock()
		if err := c.free(c.ctx); err != nil && c.ctx.Err() == nil {
			ctrl.Log.Error(err, "Free space in the store")
		}
	})
}

// free drops what no source of any kind has as its artifact.
func (s *shared) free(ctx context.Context) error {
	var keep []string
	for _, k := range s.served() {
		digests, err := k.artifacts(ctx)
		if err != nil {
			return err
		}
		keep = append(keep, digests...)
	}
	slices.Sort(keep)
	if err := s.store.Retain(slices.Compact(keep)...); err != nil {
		return fmt.Errorf("free what no source needs: %w", err)
	}
	return nil
}
