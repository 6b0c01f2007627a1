package upgrade_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

// atOnce is how many plants run at once.
const atOnce = 8

// TestCrashSelfUpgrade: the process that makes write k of an upgrade dies right after it, before it hears the answer, and is started again;
// or its node is lost with it. Whatever k is, it ends with a working agent and no manual step. Both slots run the code of real processes.
func TestCrashSelfUpgrade(t *testing.T) {
	room := make(chan struct{}, atOnce) // plants mostly wait: more of them than there are processors
	for _, story := range []struct {
		name string
		flaw flaw
		mode v1alpha1.AgentUpgradeMode
		lose bool
		ends []protocol.State
	}{
		{"good", sound, v1alpha1.AgentUpgradeSlots, false, []protocol.State{protocol.Committed}},
		{"node-lost", sound, v1alpha1.AgentUpgradeSlots, true, []protocol.State{protocol.Committed}},
		{"doesnt-work", useless, v1alpha1.AgentUpgradeSlots, false, []protocol.State{protocol.TakenBack}},
		{"image-missing", noImage, v1alpha1.AgentUpgradeSlots, false, []protocol.State{protocol.Refused}},
		{"recreate", sound, v1alpha1.AgentUpgradeRecreate, false, []protocol.State{protocol.Committed, protocol.TakenBack}},
		{"recreate-doesnt-work", useless, v1alpha1.AgentUpgradeRecreate, false, []protocol.State{protocol.TakenBack}},
	} {
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			run := func(t *testing.T, strike int) (written int) {
				p := newPlant(t, story.flaw)
				p.strike, p.lose = strike, story.lose && strike > 0
				p.run()
				p.await("the old agent works", func() bool { return p.works(v1alpha1.SlotA) })
				p.create(p.attempt(story.mode))
				if p.lose {
					p.survives()
				} else {
					p.await("the end", p.hasEnded)
					ends := story.ends
					if strike > 0 && story.flaw == sound { // on a slow machine who was killed may be late
						ends = append(slices.Clone(ends), protocol.TakenBack)
					}
					p.endsWell(ends...)
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.written
			}
			writes := 0
			t.Run("whole", func(t *testing.T) { writes = run(t, 0) })
			if writes < 7 {
				t.Fatalf("only %d writes: this test sees little", writes)
			}
			var all sync.WaitGroup
			for k := 1; k <= writes; k++ {
				all.Go(func() {
					room <- struct{}{}
					defer func() { <-room }()
					t.Run(fmt.Sprintf("write-%d", k), func(t *testing.T) { run(t, k) })
				})
			}
			all.Wait()
		})
	}
}

// survives: one slot's node is gone for good. Where the other slot had been started, its agent works in the end, and the attempt has ended or
// goes on to prove it; where it hadn't, nothing was lost by the upgrade: the slot is as it would be without.
func (p *plant) survives() {
	p.t.Helper()
	p.await("an agent works, or could not", func() bool {
		u := p.get()
		p.mu.Lock()
		lostA, lostB := p.lost[v1alpha1.SlotA], p.lost[v1alpha1.SlotB]
		p.mu.Unlock()
		switch {
		case lostA && p.replicas(v1alpha1.SlotB) < 0:
			return true // the old agent's only node is gone before there was another one
		case lostA:
			return p.works(v1alpha1.SlotB) && ends(u, protocol.Committed)
		case lostB && p.replicas(v1alpha1.SlotA) == 0:
			return true // lost after the old one had been let go
		case lostB:
			return p.works(v1alpha1.SlotA) && ends(u, protocol.TakenBack)
		}
		return ends(u, protocol.Committed) && p.works(v1alpha1.SlotB)
	})
}
