package protocol

import (
	"slices"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// State is where an attempt is: status.phase, but for [Gone].
type State = v1alpha1.AgentUpgradePhase

// The states.
const (
	Pending     = v1alpha1.AgentUpgradePending
	Probing     = v1alpha1.AgentUpgradeProbing
	Starting    = v1alpha1.AgentUpgradeStarting
	HandingOver = v1alpha1.AgentUpgradeHandingOver
	Proving     = v1alpha1.AgentUpgradeProving
	TakingBack  = v1alpha1.AgentUpgradeTakingBack
	Committing  = v1alpha1.AgentUpgradeCommitting
	Committed   = v1alpha1.AgentUpgradeCommitted
	TakenBack   = v1alpha1.AgentUpgradeTakenBack
	Refused     = v1alpha1.AgentUpgradeRefused
	Advised     = v1alpha1.AgentUpgradeAdvised

	// Gone is when the AgentUpgrade isn't there any more.
	Gone State = "Gone"
)

// place is what the table says of a state by itself.
type place struct {
	state State
	// old and new are what each agent does there, in this order; recreate is what the old one does in mode Recreate, where that differs.
	old, recreate, new []Action
	// means and works are for people: what it is, and which agent works.
	means, works string
}

// placed is never written to.
var placed = places()

// places lists all states, in the order in which people meet them.
func places() []place {
	const oldWorks, newWorks = "the old one", "the new one"
	return []place{
		{
			state: Pending, works: oldWorks,
			means: "hasn't begun: another attempt is under way, or no agent has looked at it yet",
		},
		{
			state: Probing, works: oldWorks, old: []Action{RunProbe},
			means: "a pod of the new image tries whether it could work here",
		},
		{
			state: Starting, works: oldWorks + "; in mode `Recreate` none for a moment", old: []Action{StartNew}, recreate: []Action{StartGuard, StopOld, StartNew},
			means: "the new agent starts beside the old one, and does nothing",
		},
		{
			state: HandingOver, works: oldWorks + ", then " + newWorks, old: []Action{GiveLease},
			means: "the lease goes to the new agent, in the next term. The old one finishes what it does and lets go",
		},
		{
			state: Proving, works: newWorks, new: []Action{Prove},
			means: "the new agent does the work and shows that it can; the old one watches it",
		},
		{
			state: TakingBack, works: "the new one until the old one has the lease", old: []Action{TakeLease, RestoreOld, AwaitOld, RemoveNew, TidyUp},
			recreate: []Action{TakeLease, RemoveNew, RestoreOld, AwaitOld, TidyUp},
			means:    "the old agent takes the lease again, in the next term, and removes what the attempt has made",
		},
		{
			state: Committing, works: newWorks, new: []Action{RetireOld, TidyUp},
			means: "the new agent has proved itself, and scales the old one down",
		},
		{
			state: Committed, works: newWorks,
			means: "the new agent runs alone. The old one's template is kept, without pods",
		},
		{
			state: TakenBack, works: oldWorks,
			means: "the old agent runs alone, `status.failure` says why",
		},
		{
			state: Refused, works: oldWorks,
			means: "ended before the new agent was started, `status.failure` says why",
		},
		{
			state: Advised, works: oldWorks,
			means: "somebody else owns the agent, and is told what should be done",
		},
		{
			state: Gone, works: "whichever did",
			means: "the AgentUpgrade isn't there any more",
		},
	}
}

// Work returns what an agent does in a state, in this order; nothing where it is the other one's turn, or nobody's, and nothing for a new
// agent whose slot doesn't have the lease. All of it may be done twice: after a restart it is done from the beginning. When it is finished,
// that is a [Done].
func Work(state State, agent Agent, facts Facts) []Action {
	p := placeOf(state)
	switch {
	case agent == New && !facts.Leading:
		return nil
	case agent == New:
		return slices.Clone(p.new)
	case facts.Mode == v1alpha1.AgentUpgradeRecreate && p.recreate != nil:
		return slices.Clone(p.recreate)
	default:
		return slices.Clone(p.old)
	}
}

// placeOf returns the zero place for what is no state. The empty state, of an attempt that nobody has looked at yet, is Pending.
func placeOf(state State) place {
	if state == "" {
		state = Pending
	}
	for _, p := range placed {
		if p.state == state {
			return p
		}
	}
	return place{}
}
