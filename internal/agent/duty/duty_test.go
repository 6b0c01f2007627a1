package duty_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// TestTheAgentLetsWhoAsksServe: a server that asks is given delivery once the agent has let go, another one of them takes over from it, and the
// agent takes it back when the last of them has gone. In all of it never do two serve.
func TestTheAgentLetsWhoAsksServe(t *testing.T) {
	w := newWorld(t)
	w.agent("a")
	w.await("the agent serves", func() bool { return w.serves("a") })
	first := w.server("s-0")
	w.await("the server serves", func() bool { return w.serves("s-0") })
	second := w.server("s-1")
	first.stop()
	w.await("the other server serves", func() bool { return w.serves("s-1") })
	second.stop()
	w.await("the agent serves again", func() bool { return w.serves("a") })
	w.server("s-2")
	w.await("a server that stopped in order costs the next one nothing", func() bool { return w.serves("s-2") })
}

// TestAServerThatDies: nobody lets go, and the agent takes delivery back all the same. The next one that asks has it after a pause.
func TestAServerThatDies(t *testing.T) {
	w := newWorld(t)
	w.agent("a")
	server := w.server("s-0")
	w.await("the server serves", func() bool { return w.serves("s-0") })
	server.kill()
	w.await("the agent serves again", func() bool { return w.serves("a") })
	w.server("s-1")
	w.await("the next server serves", func() bool { return w.serves("s-1") })
}

// TestAnAgentThatDies: a server takes over what the agent held as soon as the agent's own lease has run out, and keeps it from the next agent.
func TestAnAgentThatDies(t *testing.T) {
	w := newWorld(t)
	agent := w.agent("a")
	w.await("the agent serves", func() bool { return w.serves("a") })
	agent.kill()
	server := w.server("s-0")
	w.await("the server serves", func() bool { return w.serves("s-0") })
	w.agent("b")
	w.await("the next agent leads", func() bool {
		h, err := term.Read(t.Context(), w.leases, agentLease)
		return err == nil && h.Identity == "b"
	})
	if !w.serves("s-0") {
		t.Error("the server serves no longer")
	}
	server.stop()
	w.await("the next agent serves", func() bool { return w.serves("b") })
}

// TestTheLeaseIsDeleted: what nobody may do ends with one that serves, and never with two.
func TestTheLeaseIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.agent("a")
	w.await("the agent serves", func() bool { return w.serves("a") })
	before := w.lease()
	if err := w.leases.Delete(t.Context(), before.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("the agent serves, by another lease", func() bool {
		now := w.lease()
		return now != nil && now.UID != before.UID && duty.ByAgent(w.holder()) && w.serves("a")
	})
}

// TestAServerLosesTheLeaseByHand: it may go on until it looks again, so that the agent waits before it serves, whatever was done to the lease.
func TestAServerLosesTheLeaseByHand(t *testing.T) {
	for name, change := range map[string]func(*world){
		"Deleted": func(w *world) {
			if err := w.leases.Delete(w.Context(), duty.LeaseName("delivery"), metav1.DeleteOptions{}); err != nil {
				w.Error(err)
			}
		},
		"Freed": func(w *world) { w.edit(`{"metadata":{"annotations":null},"spec":{"holderIdentity":""}}`) },
		"Given": func(w *world) { w.edit(`{"spec":{"holderIdentity":"slipway-agent/b"}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.agent("a")
			w.server("s-0")
			w.await("the server serves", func() bool { return w.serves("s-0") })
			change(w)
			w.await("one of them serves by the lease", func() bool {
				return w.serves("a") && duty.ByAgent(w.holder()) || w.serves("s-0") && w.holder() == "s-0"
			})
		})
	}
}

// TestWhoLosesTheLeaseWritesNothing: not even what it had begun, though its time isn't over.
func TestWhoLosesTheLeaseWritesNothing(t *testing.T) {
	w := newWorld(t)
	var fence term.Fence
	lock := duty.NewServer(duty.ServerOptions{
		Leases: w.leases, Name: duty.LeaseName("delivery"), Agent: agentLease, Identity: "s-0", Fence: &fence, Renew: time.Hour,
	})
	free := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: duty.LeaseName("delivery")}}
	if _, err := w.leases.Create(t.Context(), free, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := lock.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := resourcelock.LeaderElectionRecord{HolderIdentity: "s-0", LeaseDurationSeconds: 15, RenewTime: metav1.Now(), AcquireTime: metav1.Now()}
	if err := lock.Update(t.Context(), held); err != nil || !fence.Open() {
		t.Fatalf("it doesn't hold the lease: %v", err)
	}
	w.edit(`{"spec":{"holderIdentity":"s-1"}}`)
	if _, _, err := lock.Get(t.Context()); err != nil || fence.Open() {
		t.Errorf("it still writes: %v", err)
	}
}

// TestAnAgentThatWasHeldUp doesn't go by what it knew of the lease before: a server may have taken it, though the agent wasn't told yet.
func TestAnAgentThatWasHeldUp(t *testing.T) {
	w := newWorld(t)
	var through wire
	yes := func() bool { return true }
	const renew = 500 * time.Millisecond
	post := duty.NewPost(duty.Options{
		Leases: w.client(&through), Name: duty.LeaseName("delivery"), Identity: "a", Leading: yes, Holding: yes, Renew: renew,
	})
	var fence term.Fence
	shift, held := w.follow(post, &fence)
	through.deaf.Store(true)
	w.edit(`{"spec":{"holderIdentity":"s-0"}}`)
	w.await("it is held up for longer than it may write", func() bool { return !fence.Open() })
	if err := shift.Update(t.Context(), held); err == nil || fence.Open() {
		t.Errorf("it writes by a lease that is another's: %v", err)
	}
	if _, _, err := shift.Get(t.Context()); err != nil || fence.Open() {
		t.Errorf("it writes by a lease that is another's: %v", err)
	}
}

// TestNobodyServesOnOtherTerms: a server that would serve on other terms than the agent doesn't ask, and one that serves stops when the agent's change.
func TestNobodyServesOnOtherTerms(t *testing.T) {
	w := newWorld(t)
	on := func(terms string) func(*process) { return func(p *process) { p.terms = terms } }
	agent := w.agent("a", on("strict"))
	w.await("the agent serves", func() bool { return w.serves("a") })
	loose := w.server("s-0", on("loose"))
	w.await("the server says why it doesn't serve", func() bool { err := loose.lock.Fit(); return err != nil && strings.Contains(err.Error(), "strict") })
	if asks := w.lease().Annotations[duty.AskedAnnotation]; asks != "" || w.serves("s-0") {
		t.Errorf("%q asks", asks)
	}
	strict := w.server("s-1", on("strict"))
	w.await("the other server serves", func() bool { return w.serves("s-1") && strict.lock.Fit() == nil })
	agent.stop()
	<-agent.ended
	w.agent("b", on("loose"))
	w.await("the server that has what is wanted now serves", func() bool { return w.serves("s-0") && loose.lock.Fit() == nil })
	if err := strict.lock.Fit(); err == nil {
		t.Error("the other one would serve again")
	}
}

// TestAnAgentThatMayNotWatch serves all the same, and renews the lease as anybody does.
func TestAnAgentThatMayNotWatch(t *testing.T) {
	w := newWorld(t)
	w.agent("a", func(p *process) { p.wire.lists.Store(true) })
	w.await("the agent serves", func() bool { return w.serves("a") })
	before := w.lease()
	w.await("the agent renews the lease", func() bool { return w.lease().ResourceVersion != before.ResourceVersion })
}

// TestServingCostsTheAgentNothing: while nobody asks, an agent that serves makes no requests for it, however often its elector renews.
func TestServingCostsTheAgentNothing(t *testing.T) {
	w := newWorld(t)
	var through wire
	yes := func() bool { return true }
	post := duty.NewPost(duty.Options{
		Leases: w.client(&through), Name: duty.LeaseName("delivery"), Identity: "a", Leading: yes, Holding: yes, Renew: renewDeadline,
	})
	var fence term.Fence
	shift, held := w.follow(post, &fence)
	w.await("the lease is watched", func() bool { return through.all.Load() >= 4 }) // list, watch, get, create
	before := through.all.Load()
	for range 100 {
		if err := shift.Update(t.Context(), held); err != nil {
			t.Fatal(err)
		}
	}
	if n := through.all.Load() - before; n != 0 {
		t.Errorf("100 renewals made %d requests", n)
	}
	if here, _ := post.Serving(); !here || !fence.Open() {
		t.Error("it doesn't serve")
	}
}

// TestAnAgentThatDoesNotElect: nobody can ask it to let go, so that servers never get delivery where it serves, and it doesn't begin where one of them does.
func TestAnAgentThatDoesNotElect(t *testing.T) {
	w := newWorld(t)
	name := duty.LeaseName("delivery")
	const within = time.Second
	if err := duty.Alone(t.Context(), w.leases, name, within); err != nil || w.lease() != nil {
		t.Fatalf("where there is no lease it isn't needed: %v", err)
	}
	agent := w.agent("a")
	w.await("the agent serves", func() bool { return w.serves("a") })
	server := w.server("s-0")
	w.await("the server serves", func() bool { return w.serves("s-0") })
	agent.kill()
	if err := duty.Alone(t.Context(), w.leases, name, within); !errors.Is(err, duty.ErrServed) {
		t.Errorf("got %v, want ErrServed", err)
	}
	server.kill()
	if err := duty.Alone(t.Context(), w.leases, name, within); err != nil {
		t.Fatal(err)
	}
	held := w.lease()
	if !duty.ByAgent(w.holder()) {
		t.Fatalf("%s holds the lease", w.holder())
	}
	another := w.server("s-1")
	w.await("the server has looked for longer than a lease lasts", func() bool {
		return another.wire.all.Load() > int64(2*leaseDuration/retryPeriod)
	})
	if w.serves("s-1") || w.lease().ResourceVersion != held.ResourceVersion {
		t.Errorf("the server serves, or asks: %+v", w.lease())
	}
	w.agent("b")
	w.await("an agent that elects lets it", func() bool { return w.serves("s-1") })
}
