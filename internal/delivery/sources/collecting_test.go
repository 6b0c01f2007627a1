package sources

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestCollectionsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		made := 0
		c := &collector{ctx: ctx, free: func(context.Context) error { made++; return nil }}
		for range 1000 {
			c.soon()
		}
		<-time.After(collectPause + time.Second)
		if made != 1 {
			t.Errorf("%d collections for a thousand sources that moved at once", made)
		}
		c.soon()
		<-time.After(collectPause + time.Second)
		if made != 2 {
			t.Errorf("%d collections, want one more for what moved later", made)
		}
		c.soon()
		cancel()
		c.work.Wait()
		c.soon()
		if synctest.Wait(); made != 2 {
			t.Error("a collection was made after the end")
		}
	})
}
