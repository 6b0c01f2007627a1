package term_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term/termtest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

const (
	leaseName = "agent"
	patience  = 90 * time.Second
	// The electors' times, shorter than in the agent.
	leaseDuration, renewDeadline, retryPeriod = 3 * time.Second, 2 * time.Second, 100 * time.Millisecond
	silence                                   = 4 * time.Second
)

// contender is a process of a slot: it works while it leads, for a moment longer when it is deposed, and ends then.
type contender struct {
	name  string
	lock  *term.Lock
	fence term.Fence
	kill  context.CancelFunc // without letting go of the lease
	stop  context.CancelFunc
	ended chan struct{}
}

func start(t *testing.T, leases coordination.LeaseInterface, f *termtest.Floor, name string, slot v1alpha1.AgentSlot) *contender {
	t.Helper()
	c := &contender{name: name, ended: make(chan struct{})}
	work, deposed := context.WithCancel(t.Context())
	elect, stopElecting := context.WithCancel(context.WithoutCancel(t.Context()))
	c.lock = term.NewLock(term.Options{
		Leases: leases, Name: leaseName, Identity: name, Slot: slot, Fence: &c.fence, Deposed: deposed,
		RenewDeadline: renewDeadline, Silence: silence, Drain: patience,
	})
	c.stop = deposed
	release := true
	c.kill = func() { release = false; deposed() }
	started := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: killable{c.lock, &release}, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { f.Enter(name); close(started) },
			OnStoppedLeading: func() { deposed() },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { elector.Run(elect); close(over) }()
	go func() {
		defer close(c.ended)
		<-work.Done()
		select {
		case <-started:
			if release {
				<-time.After(2 * retryPeriod) // what was under way is finished
			}
			f.Leave(name)
		default:
		}
		stopElecting()
		<-over
	}()
	t.Cleanup(func() {
		deposed()
		<-c.ended
	})
	return c
}

// killable lets nothing through once its process was killed.
type killable struct {
	*term.Lock
	alive *bool
}

func (k killable) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if !*k.alive {
		return errors.New("killed")
	}
	return k.Lock.Update(ctx, r)
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for: %s", patience, what)
		}
	}
}

func setUp(t *testing.T) (coordination.LeaseInterface, *termtest.Floor) {
	t.Helper()
	t.Parallel()
	env := labtest.ControlPlane(t)
	f := termtest.NewFloor(t)
	return env.Clientset(t).CoordinationV1().Leases(env.Namespace), f
}

func read(t *testing.T, leases coordination.LeaseInterface) term.Holder {
	t.Helper()
	h, err := term.Read(t.Context(), leases, leaseName)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheOtherSlotStandsByHoweverLongTheLeaseIsFree(t *testing.T) {
	leases, f := setUp(t)
	a := start(t, leases, f, "a-0", v1alpha1.SlotA)
	await(t, "a leads", func() bool { return f.Has("a-0") && a.lock.Leading() })
	if got := read(t, leases); got.Tenure != (term.Tenure{Slot: v1alpha1.SlotA, Term: 1}) || !got.Taken || got.Identity != "a-0" {
		t.Fatalf("the lease says %+v", got)
	}
	start(t, leases, f, "b-0", v1alpha1.SlotB)
	a.stop()
	<-a.ended
	if a.fence.Open() {
		t.Error("a has let go and may still write")
	}
	await(t, "the lease is free", func() bool { return read(t, leases).Identity == "" })
	again := start(t, leases, f, "a-1", v1alpha1.SlotA)
	await(t, "another one of slot a leads", func() bool { return again.lock.Leading() })
	if f.Has("b-0") {
		t.Error("slot b took what wasn't its own")
	}
}

func TestHandOver(t *testing.T) {
	leases, f := setUp(t)
	a := start(t, leases, f, "a-0", v1alpha1.SlotA)
	await(t, "a leads", a.lock.Leading)
	b := start(t, leases, f, "b-0", v1alpha1.SlotB)
	given, err := term.Give(t.Context(), leases, leaseName, read(t, leases).Tenure, v1alpha1.SlotB)
	if err != nil || given != (term.Tenure{Slot: v1alpha1.SlotB, Term: 2}) {
		t.Fatalf("got %+v, %v", given, err)
	}
	<-a.ended // deposed
	await(t, "b leads", func() bool { return b.lock.Leading() && f.Has("b-0") })
	if got := read(t, leases); got.Tenure != given || !got.Taken {
		t.Errorf("the lease says %+v", got)
	}
	if again, err := term.Give(t.Context(), leases, leaseName, term.Tenure{Slot: v1alpha1.SlotA, Term: 1}, v1alpha1.SlotB); err != nil || again != given {
		t.Errorf("given twice: %+v, %v", again, err)
	}
	if _, err := term.Give(t.Context(), leases, leaseName, term.Tenure{Slot: v1alpha1.SlotB, Term: 1}, v1alpha1.SlotA); !errors.Is(err, term.ErrMoved) {
		t.Errorf("given out of a term that is over: %v, want ErrMoved", err)
	}
}

func TestASlotThatFallsSilentLosesTheLease(t *testing.T) {
	for _, given := range []bool{false, true} {
		t.Run(fmt.Sprintf("Given=%v", given), func(t *testing.T) {
			leases, f := setUp(t)
			a := start(t, leases, f, "a-0", v1alpha1.SlotA)
			await(t, "a leads", a.lock.Leading)
			b := start(t, leases, f, "b-0", v1alpha1.SlotB)
			if given { // and slot b never comes to take it
				b.kill()
				<-b.ended
				if _, err := term.Give(t.Context(), leases, leaseName, read(t, leases).Tenure, v1alpha1.SlotB); err != nil {
					t.Fatal(err)
				}
				<-a.ended
				back := start(t, leases, f, "a-1", v1alpha1.SlotA)
				await(t, "slot a leads again", back.lock.Leading)
				if got := read(t, leases).Tenure; got != (term.Tenure{Slot: v1alpha1.SlotA, Term: 3}) {
					t.Errorf("the lease says %+v", got)
				}
				return
			}
			a.kill()
			await(t, "slot b leads", b.lock.Leading)
			if got := read(t, leases).Tenure; got != (term.Tenure{Slot: v1alpha1.SlotB, Term: 2}) {
				t.Errorf("the lease says %+v", got)
			}
		})
	}
}

func TestALeaseThatWasDeletedIsMadeByWhoseItIs(t *testing.T) {
	leases, _ := setUp(t)
	record := resourcelock.LeaderElectionRecord{HolderIdentity: "x", LeaseDurationSeconds: 1, RenewTime: metav1.Now(), AcquireTime: metav1.Now()}
	rightful := func(context.Context) (term.Tenure, error) { return term.Tenure{Slot: v1alpha1.SlotB, Term: 7}, nil }
	a := term.NewLock(term.Options{Leases: leases, Name: leaseName, Identity: "x", Slot: v1alpha1.SlotA, Rightful: rightful})
	if err := a.Create(t.Context(), record); !errors.Is(err, term.ErrOtherSlot) {
		t.Errorf("got %v, want ErrOtherSlot", err)
	}
	b := term.NewLock(term.Options{Leases: leases, Name: leaseName, Identity: "x", Slot: v1alpha1.SlotB, Rightful: rightful})
	if err := b.Create(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if got := read(t, leases); got.Tenure != (term.Tenure{Slot: v1alpha1.SlotB, Term: 7}) || !got.Taken {
		t.Errorf("the lease says %+v", got)
	}
}
