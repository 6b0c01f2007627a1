package sources

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCollectionsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var made atomic.Int32
		c := &collector{ctx: ctx, free: func(context.Context) error { made.Add(1); return nil }}
		for range 1000 {
			c.soon()
		}
		<-time.After(collectPause + time.Second)
		if made := made.Load(); made != 1 {
			t.Errorf("%d collections for a thousand sources that moved at once", made)
		}
		c.soon()
		<-time.After(collectPause + time.Second)
		if made := made.Load(); made != 2 {
			t.Errorf("%d collections, want one more for what moved later", made)
		}
		c.soon()
		cancel()
		c.end()
		c.soon()
		if synctest.Wait(); made.Load() != 2 {
			t.Error("a collection was made after the end")
		}
	})
}
