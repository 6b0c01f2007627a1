package delivery

import (
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

func TestContestSpacesRoundsOut(t *testing.T) {
	ref := kube.Ref{Version: "v1", Kind: "ConfigMap", Namespace: "n", Name: "a"}
	drift := []apply.Change{{Ref: ref, Action: apply.Configured, Drift: true}, {Ref: kube.Ref{Kind: "ConfigMap", Name: "other"}, Action: apply.Configured}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var c contest
	for n := 1; n < contestRounds; n++ {
		if begun := c.restored(drift, now); len(begun) != 0 || !c.until(ref).IsZero() {
			t.Fatalf("round %d: a person may change an object %d times and have it put back at once", n, contestRounds-1)
		}
	}
	if begun := c.restored(drift, now); len(begun) != 1 || begun[0] != ref {
		t.Fatalf("round %d begins the pauses, got %v", contestRounds, begun)
	}
	if n, until := c.ongoing(now); n != 1 || !until.After(c.until(ref)) {
		t.Errorf("%d objects are contested until %s, want 1 until some time after it may be put back", n, until)
	}
	last := time.Duration(0)
	for range 20 {
		pause := c.until(ref).Sub(now)
		if pause < last || pause > lastTruce {
			t.Fatalf("pause %s after %s", pause, last)
		}
		last, now = pause, c.until(ref)
		if begun := c.restored(drift, now); len(begun) != 0 {
			t.Fatal("it is told once")
		}
	}
	if last != lastTruce {
		t.Errorf("the longest pause is %s, want %s", last, lastTruce)
	}
	if c.restored(drift, now.Add(time.Hour)); !c.until(ref).IsZero() {
		t.Error("a quiet hour ends the contest")
	}
	if n, _ := c.ongoing(now.Add(time.Hour)); n != 0 {
		t.Errorf("%d objects are contested, want none after a quiet hour", n)
	}
	if !c.until(kube.Ref{Kind: "ConfigMap", Name: "other"}).IsZero() {
		t.Error("an object that was not put back is held up")
	}
}
