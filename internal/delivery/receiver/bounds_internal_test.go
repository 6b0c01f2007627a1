package receiver

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestCallsWaitForAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGates(clock.RealClock{})
		one, two := types.NamespacedName{Name: "one"}, types.NamespacedName{Name: "two"}
		var inside []func(bool)
		for range maxAtOnce {
			leave, refused := g.enter(t.Context(), one)
			if refused != nil {
				t.Fatal(refused.message)
			}
			inside = append(inside, leave)
		}
		if leave, refused := g.enter(t.Context(), two); refused != nil {
			t.Error("another Receiver has places of its own:", refused.message)
		} else {
			leave(false)
		}
		if _, refused := g.enter(t.Context(), one); refused == nil || refused.status != http.StatusTooManyRequests {
			t.Errorf("nobody left for %s: %v", patience, refused)
		}
		var all sync.WaitGroup
		all.Go(func() {
			leave, refused := g.enter(t.Context(), one)
			if refused != nil {
				t.Error("a place became free in time:", refused.message)
				return
			}
			leave(false)
		})
		<-time.After(patience / 2)
		inside[0](false)
		all.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		inside[1](false)
		for range maxAtOnce { // whoever is gone takes no place for good
			if leave, refused := g.enter(ctx, one); refused == nil {
				leave(false)
			}
		}
	})
}

// TestDecodingWaitsItsTurn has one namespace send as much as it can to be decoded.
func TestDecodingWaitsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGates(clock.RealClock{})
		key := func(namespace, name string) types.NamespacedName {
			return types.NamespacedName{Namespace: namespace, Name: name}
		}
		leave, refused := g.work(t.Context(), key("a", "one"), true)
		if refused != nil {
			t.Fatal(refused.message)
		}
		if _, refused := g.work(t.Context(), key("a", "two"), true); refused == nil || refused.status != http.StatusTooManyRequests {
			t.Errorf("a second body of the same namespace is decoded beside the first: %v", refused)
		}
		other, refused := g.work(t.Context(), key("b", "one"), true)
		if refused != nil {
			t.Fatal("another namespace has its turn:", refused.message)
		}
		if _, refused := g.work(t.Context(), key("c", "one"), true); refused == nil {
			t.Error("more bodies are decoded at once than there is memory for")
		}
		if plain, refused := g.work(t.Context(), key("a", "two"), false); refused != nil {
			t.Error("what isn't decoded needs not wait:", refused.message)
		} else {
			plain()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, refused := g.work(ctx, key("c", "one"), true); refused == nil {
			t.Error("whoever is gone is served")
		}
		leave()
		other()
		for _, k := range []types.NamespacedName{key("a", "one"), key("a", "two"), key("b", "one"), key("c", "one")} {
			g.forget(k)
		}
		if len(g.each)+len(g.namespaces)+len(g.waking)+len(g.decoded) > 0 {
			t.Errorf("places are lost, or namespaces remembered for ever: %v %v", g.each, g.namespaces)
		}
	})
}

func TestMistakesAreForgivenInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGates(clock.RealClock{})
		key := types.NamespacedName{Name: "one"}
		try := func(mistaken bool) bool {
			leave, refused := g.enter(t.Context(), key)
			if refused == nil {
				leave(mistaken)
			}
			return refused == nil
		}
		for i := range maxMistakes {
			if !try(true) {
				t.Fatalf("refused after %d mistakes", i)
			}
		}
		if try(true) {
			t.Error("one mistake too many is looked at")
		}
		<-time.After(mistakePause)
		if !try(true) || try(true) {
			t.Error("after a pause exactly one more is looked at")
		}
		<-time.After(maxMistakes * mistakePause)
		for range 100 {
			if !try(false) {
				t.Fatal("who proves who it is, is never refused")
			}
		}
	})
}

// TestRoundsServeEverybodyAfterTheyAsked has many ask while a round is under way: they share one that begins after they asked.
func TestRoundsServeEverybodyAfterTheyAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRounds()
		var runs atomic.Int64
		var all sync.WaitGroup
		slow := func() error {
			runs.Add(1)
			<-time.After(time.Second)
			return nil
		}
		all.Go(func() { _ = r.do("a", slow) })
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				before := runs.Load()
				if err := r.do("a", slow); err != nil || runs.Load() == before {
					t.Errorf("served by a round that began before it asked: %v", err)
				}
			})
		}
		all.Go(func() { _ = r.do("b", slow) })
		all.Wait()
		if n := runs.Load(); n != 3 {
			t.Errorf("%d rounds, want the first, one for all the others, and one of b", n)
		}
		want := errors.New("down")
		if err := r.do("a", func() error { return want }); !errors.Is(err, want) {
			t.Errorf("the error is lost: %v", err)
		}
		if len(r.all) != 0 {
			t.Errorf("%d rounds are remembered for ever", len(r.all))
		}
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tc := range map[string]struct {
		interval *metav1.Duration
		failing  time.Duration
		every    time.Duration
		pause    time.Duration
	}{
		"ten minutes if nothing is said":        {nil, 0, 10 * time.Minute, firstPause},
		"as the spec says":                      {&metav1.Duration{Duration: time.Hour}, 0, time.Hour, firstPause},
		"a typing error must not cost requests": {&metav1.Duration{Duration: time.Millisecond}, 0, minInterval, firstPause},
		"the longer it fails the rarer":         {nil, time.Minute, 10 * time.Minute, time.Minute},
		"but never rarer than the interval":     {nil, time.Hour, 10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := &apiv1.Receiver{Spec: apiv1.ReceiverSpec{Interval: tc.interval}}
			obj.Status.Conditions = []metav1.Condition{{Type: meta.ReadyCondition, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(now.Add(-tc.failing))}}
			s := &step{Reconciler: &Reconciler{opts: Options{Clock: clocktesting.NewFakePassiveClock(now)}}, obj: obj}
			if s.every() != tc.every || s.pause() != tc.pause {
				t.Errorf("every %s, after a failure %s; want %s, %s", s.every(), s.pause(), tc.every, tc.pause)
			}
		})
	}
}
