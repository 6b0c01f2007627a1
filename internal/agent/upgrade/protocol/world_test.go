package protocol

import (
	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// flaw is what is wrong with the new image.
type flaw int

const (
	sound     flaw = iota
	unfitHere      // the probe finds out: no such image, it crashes, lacks rights, can't list its kinds
	stillborn      // it passes the probe, and crashes where it should run
	useless        // it starts, and doesn't work
)

// life is how the pods of a slot are doing, as far as they are wanted.
type life int

const (
	running life = iota
	down         // killed; comes back by itself
	lost         // with its node, for good
)

// world is an attempt and a cluster as far as the table is concerned.
type world struct {
	mode  v1alpha1.AgentUpgradeMode
	flaw  flaw
	state State
	// lease is whose slot holds it.
	lease Agent
	// oldUp and newUp say whether a slot has pods; a template is kept without them, but for the new one that was removed.
	oldUp, newUp bool
	old, new     life
	// guard says whether the guard of mode Recreate runs.
	guard bool
	// probed is status.probe; proved says that the new agent has shown that it works.
	probed, proved bool
	// asked: a person wants the old agent back; deleted: the object was.
	asked, deleted bool
}

func fresh(mode v1alpha1.AgentUpgradeMode, f flaw) world {
	return world{mode: mode, flaw: f, state: Pending, lease: Old, oldUp: true}
}

// runs says whether processes of an agent run, which look and decide.
// ended: nothing is under way any more, perhaps because the AgentUpgrade isn't there.
func (w world) ended() bool { return w.state == Gone || w.state.Ended() }

func (w world) runs(a Agent) bool {
	if a == Old {
		return w.guard || w.slotRuns(Old)
	}
	return w.slotRuns(New)
}

// slotRuns says whether pods of a slot run.
func (w world) slotRuns(a Agent) bool {
	if a == Old {
		return w.oldUp && w.old == running
	}
	return w.newUp && w.new == running && w.flaw != stillborn
}

// works says whether somebody keeps the cluster at what is in Git.
func (w world) works() bool {
	return w.slotRuns(w.lease) && (w.lease == Old || w.flaw == sound)
}

// holds says whether what an action is for has been reached.
func (w world) holds(a Action) bool {
	switch a {
	case RunProbe:
		return w.flaw != unfitHere
	case StartGuard:
		return w.guard
	case StopOld, RetireOld:
		return !w.oldUp
	case StartNew:
		return w.slotRuns(New)
	case GiveLease:
		return w.lease == New
	case Prove:
		return w.flaw == sound
	case TakeLease:
		return w.lease == Old
	case RestoreOld:
		return w.oldUp
	case AwaitOld:
		return w.lease == Old && w.slotRuns(Old)
	case RemoveNew:
		return !w.newUp
	case TidyUp:
		return !w.guard
	}
	return true
}

// do is what an action changes. What it can't reach by itself (pods that run) it waits for.
func (w world) do(a Action) world {
	switch a {
	case StartGuard:
		w.guard = true
	case StopOld, RetireOld:
		w.oldUp = false
	case StartNew:
		if !w.newUp {
			w.newUp, w.new = true, running
		}
	case GiveLease:
		w.lease = New
	case TakeLease:
		w.lease = Old
	case RestoreOld:
		w.oldUp = true
	case RemoveNew:
		w.newUp = false
	case TidyUp:
		w.guard = false
	}
	return w
}

// move is one thing that can happen.
type move struct {
	what string
	// harm: somebody or something does it that isn't the agent: the table has to live with it, and must not need it.
	harm bool
	// did is the work that was done, and by whom; decided the decision that was taken.
	did     Action
	decided *Decision
	to      world
}

// moves lists all that can happen next.
func (w world) moves() (all []move) {
	add := func(m move) {
		if m.to != w {
			all = append(all, m)
		}
	}
	w.nature(add)
	for _, by := range Agents() {
		if !w.runs(by) {
			continue
		}
		finished := true
		for _, a := range Work(w.state, by, w.facts(by)) {
			if !w.holds(a) {
				finished = false
				add(move{what: string(by) + " does " + string(a), did: a, to: w.do(a)})
				break // the next one comes when this is reached
			}
		}
		for _, e := range w.events(by, finished) {
			d, err := Decide(w.state, e, by, w.facts(by))
			if err != nil {
				panic(err)
			}
			if !d.Ignored {
				add(move{what: string(by) + " finds " + string(e), decided: &d, to: w.after(d, e)})
			}
		}
	}
	return all
}

// nature is what happens by itself, or is done by people.
func (w world) nature(add func(move)) {
	change := func(what string, harm bool, f func(*world)) {
		to := w
		f(&to)
		add(move{what: what, harm: harm, to: to})
	}
	// One node is lost at most: who loses both agents has lost them without an upgrade too.
	oneLost := w.old == lost || w.new == lost
	if w.oldUp {
		switch {
		case w.old == running:
			change("the old agent is killed", true, func(w *world) { w.old = down })
		case w.old == down:
			change("the old agent comes back", false, func(w *world) { w.old = running })
		}
		if w.old != lost && !oneLost {
			change("the old agent's node is lost", true, func(w *world) { w.old = lost })
		}
	}
	if w.newUp {
		switch {
		case w.new == running:
			change("the new agent is killed", true, func(w *world) { w.new = down })
		case w.new == down:
			change("the new agent comes back", false, func(w *world) { w.new = running })
		}
		if w.new != lost && !oneLost {
			change("the new agent's node is lost", true, func(w *world) { w.new = lost })
		}
	}
	// Who holds the lease and is silent for long loses it to the other one, whatever state the attempt is in.
	if !w.slotRuns(w.lease) {
		if other := (map[Agent]Agent{Old: New, New: Old})[w.lease]; w.runs(other) {
			change("the "+string(other)+" agent takes the lease of one that is silent", false, func(w *world) { w.lease = other })
		}
	}
	if !w.asked && !w.deleted {
		change("a person asks for a rollback", true, func(w *world) { w.asked = true })
		change("a person deletes the object", true, func(w *world) { w.deleted = true })
	}
}

// events lists what an agent may find.
func (w world) events(by Agent, finished bool) []Event {
	found := map[Agent][]Event{Old: {OldHolds}, New: {NewHolds}}[w.lease]
	if w.state == Pending {
		found = append(found, Due)
	}
	if finished && len(Work(w.state, by, w.facts(by))) > 0 {
		found = append(found, Done)
	}
	if by == Old && (w.state == Probing && w.flaw == unfitHere || w.state == Starting && w.newUp && w.flaw == stillborn || w.state == Proving && w.flaw == useless) {
		found = append(found, Failed)
	}
	if w.state != Pending && !w.ended() {
		found = append(found, DeadlinePassed)
	}
	if w.asked {
		found = append(found, RollbackAsked)
	}
	if w.deleted {
		found = append(found, Deleted)
	}
	return found
}

func (w world) facts(by Agent) Facts {
	return Facts{Mode: w.mode, Probed: w.probed, Leading: w.lease == by}
}

// after is the world after a decision: the marks are what the agent writes.
func (w world) after(d Decision, e Event) world {
	if w.state == Probing && d.To == Starting {
		w.probed = true
	}
	if w.state == Proving && d.To == Committing {
		w.proved = true
	}
	if d.To == Gone {
		return world{mode: w.mode, flaw: w.flaw, state: Gone, lease: w.lease, oldUp: w.oldUp, newUp: w.newUp, old: w.old, new: w.new, asked: true, deleted: true}
	}
	if e == RollbackAsked && d.To == TakingBack {
		w.asked = w.state != Committed // the command that acted for the person ends
	}
	w.state = d.To
	return w
}
