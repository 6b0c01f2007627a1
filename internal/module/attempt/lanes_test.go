package attempt

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestLanesAreFair: whoever asked first comes first, also where somebody asks again and again, and nobody waits for who doesn't ask any more.
func TestLanesAreFair(t *testing.T) {
	l := newLanes(1)
	enter := func(module string, want bool) {
		t.Helper()
		if _, got := l.enter(module, "1"); got != want {
			t.Fatalf("%s gets a lane: %t, want %t", module, got, want)
		}
	}
	turn := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("it is the turn of %v, want %v", got, want)
		}
	}
	enter("greedy", true)
	enter("b", false)
	enter("a", false)
	enter("b", false)
	turn(l.leave(), "b")
	enter("greedy", false)
	enter("a", false)
	enter("b", true)
	turn(l.leave(), "a")
	turn(l.quit("a"), "greedy")
	turn(l.quit("a"))
	enter("greedy", true)
	turn(l.leave())
}

// TestLanesKnowSince: a plan was asked for when its module began to wait, as it is now: what was done since to the Module asks anew.
func TestLanesKnowSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(1)
		l.enter("busy", "1")
		began := time.Now()
		asks := func(version string, want time.Duration) {
			t.Helper()
			<-time.After(time.Second)
			if asked, _ := l.enter("a", version); asked.Sub(began) != want {
				t.Errorf("it asked after %s, want %s", asked.Sub(began), want)
			}
		}
		asks("1", time.Second)
		asks("1", time.Second)
		asks("2", 3*time.Second)
		l.leave()
		asks("2", 3*time.Second)
		l.leave()
		asks("2", 5*time.Second)
	})
}

// TestRetryAfter: the pauses get longer however short a module's interval is, and are no shorter than what it took to learn that nobody answers.
func TestRetryAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		tries    int
		interval time.Duration
		took     time.Duration
		want     time.Duration
	}{
		"First":    {"soon", 1, time.Hour, 0, 5 * time.Second},
		"Third":    {"doubled twice", 3, time.Hour, 0, 20 * time.Second},
		"Interval": {"up to the interval", 20, 20 * time.Minute, 0, 20 * time.Minute},
		"Short":    {"beyond one that is short", 20, 10 * time.Second, 0, 5 * time.Minute},
		"Dead":     {"as long as it took", 1, 10 * time.Second, 4 * time.Minute, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if got := RetryAfter(tc.tries, tc.interval, tc.took); got != tc.want {
				t.Errorf("%s: the pause is %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

type planner func(context.Context, *v1alpha1.Module) (*plan.Plan, error)

func (p planner) Plan(ctx context.Context, m *v1alpha1.Module, _ time.Time) (*plan.Plan, error) {
	return p(ctx, m)
}

// TestPlansLeaveWorkersFree: while a registry hangs, no more workers wait for it than may; who would be one more is woken when one is done.
func TestPlansLeaveWorkersFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	var plans atomic.Int32
	begun, answer := make(chan struct{}), make(chan struct{})
	a := w.start(func(p *Parts, s *Settings) {
		s.PlanAtOnce = 1
		p.Planner = planner(func(ctx context.Context, m *v1alpha1.Module) (*plan.Plan, error) {
			if plans.Add(1) == 1 {
				close(begun)
				<-answer
			}
			return w.pack.Plan(ctx, m, time.Time{})
		})
	})
	w.want("1.0.0")
	other := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-other"}}
	other.Spec = w.module().Spec
	other.Spec.Version = "9.9.9"
	if err := w.client.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	look := func(name string) {
		if _, err := a.Reconcile(a.ctx, ctrl.Request{NamespacedName: types.NamespacedName{Name: name}}); err != nil && a.ctx.Err() == nil {
			t.Errorf("reconcile %s: %v", name, err)
		}
	}
	var working sync.WaitGroup
	working.Go(func() { look(w.name) })
	<-begun
	gone := w.name + "-gone"
	a.lanes.enter(gone, "1")
	look(gone) // it isn't there any more, and nobody waits behind it
	look(other.Name)
	look(other.Name)
	if n := plans.Load(); n != 1 {
		t.Errorf("%d plans are made at once, want 1", n)
	}
	for len(a.woken) > 0 {
		<-a.woken
	}
	close(answer)
	w.eventually("the other is woken", func() bool {
		select {
		case name := <-a.woken:
			return name == other.Name
		default:
			return false
		}
	})
	working.Wait()
	look(other.Name)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil {
		t.Fatal(err)
	}
	if other.Status.Phase != lifecycle.Blocked {
		t.Errorf("the other is %q, want it planned", other.Status.Phase)
	}
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
}
