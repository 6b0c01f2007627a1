package duty_test

import (
	"context"
	"errors"
	"testing"
	"time"

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
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() { _ = post.Follow(ctx); close(followed) }()
	defer func() { cancel(); <-followed }()
	var fence term.Fence
	_, shift := post.Shift(ctx, &fence)
	held := resourcelock.LeaderElectionRecord{HolderIdentity: shift.Identity(), LeaseDurationSeconds: 15, RenewTime: metav1.Now(), AcquireTime: metav1.Now()}
	w.await("the shift holds the lease", func() bool {
		record, _, err := shift.Get(t.Context())
		if err != nil || record.HolderIdentity != "" {
			return false
		}
		return shift.Update(t.Context(), held) == nil
	})
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
