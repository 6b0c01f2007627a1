package wake_test

import (
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
)

func TestIntervalsHaveALowerBound(t *testing.T) {
	if got := wake.Interval(time.Millisecond); got < wake.MinInterval {
		t.Errorf("a source is polled every %s", got)
	}
	if got := wake.Interval(time.Hour); got != time.Hour {
		t.Errorf("an hour became %s", got)
	}
}

func TestSpread(t *testing.T) {
	for range 100 {
		if got := wake.Spread(time.Minute); got < time.Minute || got > 66*time.Second {
			t.Fatalf("a minute became %s", got)
		}
	}
	if got := wake.Spread(0); got != 0 {
		t.Errorf("nothing became %s", got)
	}
}

func TestBackoffGrowsAndStops(t *testing.T) {
	last := time.Duration(0)
	for n := 1; n < 100; n++ {
		pause := wake.Backoff(n)
		if pause < last || pause <= 0 || pause > 10*time.Minute {
			t.Fatalf("pause %s after %d failures, %s before", pause, n, last)
		}
		last = pause
	}
}
