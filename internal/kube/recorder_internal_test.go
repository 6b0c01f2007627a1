package kube

import (
	"testing"
	"time"
)

func TestPauseAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		took    time.Duration
		waiting int
		want    time.Duration
	}{
		"quiet":  {"20 a second at most", time.Millisecond, 5, 50 * time.Millisecond},
		"busy":   {"a server that is slow has other things to do", 60 * time.Millisecond, 5, 600 * time.Millisecond},
		"stuck":  {"it is tried again", 10 * time.Second, 5, 2 * time.Second},
		"no end": {"nothing is dropped for politeness", 10 * time.Second, pendingEvents/2 + 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pauseAfter(tc.took, tc.waiting); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}
