package lifecycle

// Event is something that has happened.
type Event string

const (
	// Changed: something else may be wanted. The spec, the version in the catalogue or the source, values, other modules, or it is time to
	// ask a source again that didn't answer. Nothing is said about whether it matters: the plan finds out.
	Changed Event = "Changed"
	// PlanGood: the plan has no problem, and would change something.
	PlanGood Event = "PlanGood"
	// PlanBlocked: the plan has problems.
	PlanBlocked Event = "PlanBlocked"
	// PlanSame: the plan would change nothing: what is wanted is what is current, and all of it is there.
	PlanSame Event = "PlanSame"
	// PlanUnavailable: there is no plan, as somebody didn't answer (a source, a registry, the API server).
	PlanUnavailable Event = "PlanUnavailable"
	// Released: something that a good plan waited for has come. An approval, the beginning of a window, an age, another module.
	Released Event = "Released"
	// Done: the work of the state is finished.
	Done Event = "Done"
	// Failed: the work of the state can't succeed; in resting states, an object isn't healthy any more. What may succeed on another try is
	// no event: it is tried again until the deadline.
	Failed Event = "Failed"
	// DeadlinePassed: the work isn't finished in the time that it has.
	DeadlinePassed Event = "DeadlinePassed"
	// RetryAsked: a person wants the rejected digest to be tried again, or the plan to be made again.
	RetryAsked Event = "RetryAsked"
	// RollbackAsked: a person wants the attempt to be taken back.
	RollbackAsked Event = "RollbackAsked"
	// Drifted: objects aren't as the current revision has them.
	Drifted Event = "Drifted"
	// Deleted: the Module was deleted.
	Deleted Event = "Deleted"
)

// Events lists all events.
func Events() []Event {
	return []Event{
		Changed, PlanGood, PlanBlocked, PlanSame, PlanUnavailable, Released, Done, Failed, DeadlinePassed, RetryAsked, RollbackAsked, Drifted, Deleted,
	}
}

// Facts are how things are when an event is decided on. All of them follow from the object: its spec, its annotations and its status.
type Facts struct {
	// Installed: there is a current revision (status.current).
	Installed bool
	// Unsettled: an attempt was begun and is neither committed nor taken back (status.attempt).
	Unsettled bool
	// CommitBegun: the commit of that attempt has begun (status.attempt.commitBegan).
	CommitBegun bool
	// NoWayBack: the commit of that attempt, or of one that it goes over, has begun (also status.attempt.overCommitted).
	NoWayBack bool
	// Reversible: the plan of that attempt says that it can be taken back.
	Reversible bool
	// Automatic: spec.rollback is Automatic.
	Automatic bool
	// Forced: the person who asks for a rollback wants it although the plan says that it can't be done.
	Forced bool
	// Rejected: the digest of the new plan failed before, for this generation of the spec, and nobody asked for another try.
	Rejected bool
	// MayStart: policy, windows, age, other modules and approvals allow the new plan to be carried out now, and the module isn't paused.
	MayStart bool
	// Approved: a person wants this attempt: approved or retried this digest, or changed the spec since the unsettled attempt was begun.
	Approved bool
	// Paused: spec.paused.
	Paused bool
}
