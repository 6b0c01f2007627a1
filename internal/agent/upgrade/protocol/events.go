package protocol

import "github.com/slipway-dev/slipway/api/v1alpha1"

// Agent is one of the two that take part.
type Agent string

const (
	// Old is the agent that ran before: any process of its slot, the guard in its place, or the command with which a person takes back.
	Old Agent = "Old"
	// New is the agent that should run.
	New Agent = "New"
)

// Agents lists both.
func Agents() []Agent { return []Agent{Old, New} }

// Event is something that one of the two finds.
type Event string

const (
	// Due: no other attempt is under way.
	Due Event = "Due"
	// Done: the work of the state is finished.
	Done Event = "Done"
	// Failed: the work of the state can't succeed; in Proving, the new agent has shown that it doesn't work. What may succeed on another
	// try is no event: it is tried again until the deadline.
	Failed Event = "Failed"
	// DeadlinePassed: the work isn't finished in the time that it has.
	DeadlinePassed Event = "DeadlinePassed"
	// NewHolds: the lease is the new slot's.
	NewHolds Event = "NewHolds"
	// OldHolds: the lease is the old slot's.
	OldHolds Event = "OldHolds"
	// RollbackAsked: a person wants the old agent back.
	RollbackAsked Event = "RollbackAsked"
	// Deleted: the AgentUpgrade was deleted.
	Deleted Event = "Deleted"
)

// Events lists all events.
func Events() []Event {
	return []Event{Due, Done, Failed, DeadlinePassed, NewHolds, OldHolds, RollbackAsked, Deleted}
}

// Facts are how things are when an event is decided on.
type Facts struct {
	// Mode of the attempt.
	Mode v1alpha1.AgentUpgradeMode
	// Advised: somebody else owns the agent, or the mode says so.
	Advised bool
	// Unfit: the attempt must not begin. Self-upgrade is switched off, or what runs isn't what the attempt goes out from.
	Unfit bool
	// Probed: the probe has passed (status.probe), so the new agent may have been started.
	Probed bool
	// Leading: the lease is the slot's of who asks.
	Leading bool
}

// guard is a condition on the facts, with the words that the drawing has for it. The zero guard always holds.
type guard struct {
	name  string
	holds func(Facts) bool
}

func (g guard) pass(f Facts) bool { return g.holds == nil || g.holds(f) }

var (
	advised = guard{"somebody else owns the agent", func(f Facts) bool { return f.Advised }}
	unfit   = guard{"must not begin", func(f Facts) bool { return f.Unfit }}
	probed  = guard{"the probe had passed", func(f Facts) bool { return f.Probed }}
	leading = guard{"holds the lease", func(f Facts) bool { return f.Leading }}
)
