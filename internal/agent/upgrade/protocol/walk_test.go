package protocol

import (
	"slices"
	"testing"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// walk goes every way that a world can take, from a fresh one of each mode and each flaw, and calls see for every move.
func walk(t *testing.T, see func(from world, m move)) []world {
	t.Helper()
	met := map[world]bool{}
	var order []world
	meet := func(w world) {
		if !met[w] {
			met[w] = true
			order = append(order, w)
		}
	}
	for _, mode := range []v1alpha1.AgentUpgradeMode{slots, recreate} {
		for _, f := range []flaw{sound, unfitHere, stillborn, useless} {
			meet(fresh(mode, f))
		}
	}
	for i := 0; i < len(order); i++ {
		for _, m := range order[i].moves() {
			see(order[i], m)
			meet(m.to)
		}
	}
	return order
}

func nothing(world, move) {}

func TestEveryStateIsReached(t *testing.T) {
	reached := map[State]bool{Advised: true} // by a fact that the world doesn't have
	for _, w := range walk(t, nothing) {
		reached[w.state] = true
	}
	for _, state := range everyState() {
		if !reached[state] {
			t.Errorf("nothing leads to %s", state)
		}
	}
}

// TestTheLeaseIsGivenToWhoCouldWork: the new agent gets the lease only after its probe, and while it runs.
func TestTheLeaseIsGivenToWhoCouldWork(t *testing.T) {
	given := 0
	walk(t, func(from world, m move) {
		if from.lease == Old && m.to.lease == New {
			given++
			if !from.probed || !from.newUp {
				t.Fatalf("%s: %+v", m.what, from)
			}
		}
		if from.flaw == unfitHere && m.to.newUp {
			t.Fatalf("an image that can't work here was started: %+v", from)
		}
	})
	if given == 0 {
		t.Error("the lease was never given: this test sees nothing")
	}
}

// TestOneSlotCanAlwaysRunAgain (I1): the old slot's template is never removed; its pods are only after the proof, or where there is no room
// for both with a guard that brings them back; the new one's are only while the lease is the old slot's.
func TestOneSlotCanAlwaysRunAgain(t *testing.T) {
	seen := map[Action]int{}
	walk(t, func(from world, m move) {
		seen[m.did]++
		switch {
		case m.did == RetireOld && !from.proved:
			t.Fatalf("the old agent is scaled down before the new one is proved: %+v", from)
		case m.did == StopOld && (!from.guard || from.mode != recreate || !from.probed):
			t.Fatalf("the old agent is stopped, and nobody could bring it back: %+v", from)
		case m.did == RemoveNew && from.lease != Old:
			t.Fatalf("the agent that holds the lease is removed: %+v", from)
		case m.did == RemoveNew && from.mode == slots && !from.slotRuns(Old):
			t.Fatalf("the new agent is removed, and the old one doesn't run: %+v", from)
		case m.did == TidyUp && from.guard && !from.oldUp && !from.proved:
			t.Fatalf("the guard is removed, and the old agent isn't back: %+v", from)
		}
	})
	for _, a := range []Action{StartGuard, StopOld, StartNew, GiveLease, RetireOld, TakeLease, RestoreOld, RemoveNew, TidyUp} {
		if seen[a] == 0 {
			t.Errorf("%s is never done: this test sees nothing", a)
		}
	}
}

// TestOnlyTheNewAgentCommitsAndOnlyTheOldOneTakesBack holds but for a lease that has gone back already.
func TestOnlyTheNewAgentCommitsAndOnlyTheOldOneTakesBack(t *testing.T) {
	for _, r := range handled {
		switch {
		case r.to == Committing && !slices.Equal(r.by, []Agent{New}):
			t.Errorf("%s by %v commits", r.event, r.by)
		case r.to == TakingBack && r.event != OldHolds && !slices.Equal(r.by, []Agent{Old}):
			t.Errorf("%s by %v takes back", r.event, r.by)
		}
	}
}

// TestNothingIsNarrowedOrMigrated (I2, I4): no action is about roles or stored objects, so the old agent can always work again.
func TestNothingIsNarrowedOrMigrated(t *testing.T) {
	known := []Action{RunProbe, StartGuard, StopOld, StartNew, GiveLease, Prove, RetireOld, TakeLease, RestoreOld, AwaitOld, RemoveNew, TidyUp}
	for _, p := range placed {
		for _, a := range slices.Concat(p.old, p.recreate, p.new) {
			if !slices.Contains(known, a) {
				t.Errorf("%s does %s: say here why the old agent can still work afterwards", p.state, a)
			}
		}
	}
}

// TestItEndsWithAWorkingAgent: whatever has happened, if nothing more happens and nobody does anything by hand, the attempt ends, and the
// agent that holds the lease works. Where the old agent was lost for good, the new one goes on as well as it can.
func TestItEndsWithAWorkingAgent(t *testing.T) {
	back := map[world][]world{} // by moves that need no harm
	met := walk(t, func(from world, m move) {
		if !m.harm {
			back[m.to] = append(back[m.to], from)
		}
	})
	good := func(w world) bool {
		switch {
		case w.ended() && w.works():
			return true
		case !w.ended() && w.old == lost:
			// Nobody is there to take back. A sound agent commits; one that isn't works on as it is, if it was started.
			return w.flaw != sound && (!w.slotRuns(New) || w.lease == New) || !w.newUp
		case w.ended():
			// The one that is left was lost after the end, or before the other one was started: as without any upgrade.
			return w.lease == Old && w.old == lost || w.lease == New && w.new == lost && !w.oldUp
		}
		return w.new == lost && !w.oldUp && w.state == Committing && !w.guard // the same, a moment before the end
	}
	fine := map[world]bool{}
	var queue []world
	for _, w := range met {
		if good(w) {
			fine[w] = true
			queue = append(queue, w)
		}
	}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		for _, before := range back[w] {
			if !fine[before] {
				fine[before] = true
				queue = append(queue, before)
			}
		}
	}
	stuck := 0
	for _, w := range met {
		if !fine[w] {
			if stuck++; stuck <= 5 {
				t.Errorf("nothing leads from here to a working agent: %+v", w)
			}
		}
	}
	t.Logf("%d worlds, %d without a way out", len(met), stuck)
	if len(met) < 500 {
		t.Errorf("only %d worlds: this test sees little", len(met))
	}
}

// TestAGoodImageIsTakenAndABadOneIsNot, where nothing else happens.
func TestAGoodImageIsTakenAndABadOneIsNot(t *testing.T) {
	for _, mode := range []v1alpha1.AgentUpgradeMode{slots, recreate} {
		for f, want := range map[flaw]State{sound: Committed, unfitHere: Refused, stillborn: TakenBack, useless: TakenBack} {
			w := fresh(mode, f)
			for range 100 {
				if w.ended() {
					break
				}
				var next *move
				for _, m := range w.moves() {
					late := m.decided != nil && m.what[len(m.what)-len("Passed"):] == "Passed"
					if !m.harm && (!late || w.flaw != sound) && (next == nil || m.did != "") {
						next = &m
					}
				}
				if next == nil {
					t.Fatalf("%s, flaw %d: nothing happens any more in %+v", mode, f, w)
				}
				w = next.to
			}
			if w.state != want || !w.works() || w.guard || w.newUp != (want == Committed) || w.oldUp == (want == Committed) {
				t.Errorf("%s, flaw %d: ends as %+v, want %s", mode, f, w, want)
			}
		}
	}
}
