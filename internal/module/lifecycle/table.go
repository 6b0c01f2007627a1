package lifecycle

// rule is a line of the table: in each of these states, when this happens and the guard holds, go there and do that. Of several rules
// for the same state and event the first whose guard holds counts.
type rule struct {
	from  []State
	event Event
	guard guard
	to    State // empty: stay
	// actions are done once, on the way, before the work of the new state.
	actions []Action
	why     string
}

// ignore is a line of the table: in each of these states nothing is done about these events, on purpose.
type ignore struct {
	in     []State
	events []Event
	why    string
}

// The table. Neither is ever written to.
var (
	handled = rules()
	skipped = ignored()
)

// atRest lists the resting states out of which the agent may go by itself.
func atRest(more ...State) []State {
	return append([]State{Pending, Blocked, Planned, Installed, RolledBack}, more...)
}

// underWay lists the states of an attempt.
func underWay(more ...State) []State {
	return append([]State{Preparing, Applying, Soaking, Committing, RollingBack}, more...)
}

func rules() []rule {
	return []rule{
		// Something else is wanted: look what it would mean. That writes nothing, so it is done also while paused.
		{from: atRest(), event: Changed, to: Planning, why: "what is wanted may differ"},
		{from: []State{Planning}, event: Changed, actions: []Action{MakePlan}, why: "the plan is about something that isn't wanted any more: begin again"},
		{from: []State{Preparing}, event: Changed, to: Planning, why: "nothing was written yet"},
		{from: []State{Frozen}, event: Changed, to: Planning, why: "a plan is shown; only a person's word lets it be carried out"},
		{from: []State{Planned, Frozen}, event: Released, to: Planning, why: "the cluster may have changed since: plan again, then begin"},

		// The plan's outcome.
		{from: []State{Planning}, event: PlanGood, guard: rejected, to: RolledBack, actions: []Action{Report}, why: "this digest failed and isn't tried again by itself"},
		{from: []State{Planning}, event: PlanGood, guard: mayStart, to: Preparing, why: "nothing stands in the way"},
		{from: []State{Planning}, event: PlanGood, guard: mayGoOn, to: Preparing, why: "a person leads forward out of Frozen"},
		{from: []State{Planning}, event: PlanGood, guard: unsettled, to: Frozen, actions: []Action{Report}, why: "only a person may lead on"},
		{from: []State{Planning}, event: PlanGood, to: Planned, actions: []Action{Report}, why: "waits for an approval, a window, an age or other modules"},
		{from: []State{Planning}, event: PlanBlocked, guard: unsettled, to: Frozen, actions: []Action{Report}, why: "still between two revisions"},
		{from: []State{Planning}, event: PlanBlocked, to: Blocked, actions: []Action{Report}, why: "nothing is written until all problems are solved"},
		{from: []State{Planning}, event: PlanSame, guard: noWayBack, to: Frozen, actions: []Action{Report}, why: "a commit that has begun has to be finished"},
		{from: []State{Planning}, event: PlanSame, guard: installed, to: Installed, actions: []Action{ForgetAttempt}, why: "all is as wanted; an attempt that left nothing behind is settled"},
		{from: []State{Planning}, event: PlanSame, guard: unsettled, to: Frozen, actions: []Action{Report}, why: "still between nothing and the first revision"},
		{from: []State{Planning}, event: PlanSame, to: Blocked, actions: []Action{Report}, why: "nothing is installed and nothing would be: the package is empty"},
		{from: []State{Planning}, event: PlanUnavailable, guard: unsettled, to: Frozen, actions: []Action{Report}, why: "still between two revisions"},
		{from: []State{Planning}, event: PlanUnavailable, guard: installed, to: Installed, actions: []Action{Report}, why: "what is installed goes on; the source is asked again"},
		{from: []State{Planning}, event: PlanUnavailable, to: Pending, actions: []Action{Report}, why: "the source is asked again"},

		// The attempt.
		{from: []State{Preparing}, event: Done, to: Applying, actions: []Action{BeginAttempt, StartDeadline}, why: "the intention is written before the first change"},
		{from: []State{Preparing}, event: Failed, guard: unsettled, to: Frozen, actions: []Action{Report}, why: "still between two revisions"},
		{from: []State{Preparing}, event: Failed, to: Blocked, actions: []Action{Report}, why: "the revision can't be stored; that says nothing about the package"},
		{from: []State{Applying}, event: Done, to: Soaking, why: "all steps are applied and healthy"},
		{from: []State{Soaking}, event: Done, to: Committing, actions: []Action{BeginCommit, StartDeadline}, why: "the gate is passed"},
		{from: []State{Committing}, event: Done, to: Installed, actions: []Action{MakeCurrent, ForgetAttempt}, why: "the new revision is the current one"},

		// It fails.
		{from: []State{Applying, Soaking}, event: Failed, guard: takesItselfBack, to: RollingBack, actions: []Action{RejectDigest, StartDeadline, Report}, why: "proved bad, and can be taken back"},
		{from: []State{Applying, Soaking}, event: Failed, to: Frozen, actions: []Action{RejectDigest, Report}, why: "can't be taken back, or mustn't be without a person"},
		{from: []State{Applying, Soaking}, event: DeadlinePassed, guard: takesItselfBack, to: RollingBack, actions: []Action{RejectDigest, StartDeadline, Report}, why: "not proved in time, and can be taken back"},
		{from: []State{Applying, Soaking}, event: DeadlinePassed, to: Frozen, actions: []Action{RejectDigest, Report}, why: "can't be taken back, or mustn't be without a person"},
		{from: []State{Committing}, event: Failed, to: Frozen, actions: []Action{RejectDigest, Report}, why: "past the point of no return there is only forward"},
		{from: []State{Committing}, event: DeadlinePassed, to: Frozen, actions: []Action{RejectDigest, Report}, why: "past the point of no return there is only forward"},

		// It is taken back.
		{from: []State{Preparing}, event: RollbackAsked, guard: unsettled, to: Frozen, actions: []Action{RejectDigest, Report}, why: "still between two revisions"},
		{from: []State{Preparing}, event: RollbackAsked, to: RolledBack, actions: []Action{RejectDigest, Report}, why: "nothing was written yet"},
		{from: []State{Applying, Soaking, Frozen}, event: RollbackAsked, guard: canBeTakenBack, to: RollingBack, actions: []Action{RejectDigest, StartDeadline, Report}, why: "a person says so"},
		{from: []State{Applying, Soaking, Frozen}, event: RollbackAsked, actions: []Action{Report}, why: "refused, with the reason: it can't be taken back, or its commit has begun"},
		{from: []State{Committing}, event: RollbackAsked, actions: []Action{Report}, why: "refused: past the point of no return. An older version can be wanted in the spec, and is planned like any other"},
		{from: []State{RollingBack}, event: Done, to: RolledBack, actions: []Action{ForgetAttempt, Report}, why: "as it was before"},
		{from: []State{RollingBack}, event: Failed, to: Frozen, actions: []Action{Report}, why: "neither forward nor back: a person decides"},
		{from: []State{RollingBack}, event: DeadlinePassed, to: Frozen, actions: []Action{Report}, why: "neither forward nor back: a person decides"},

		// A person wants another try.
		{from: []State{Frozen}, event: RetryAsked, guard: committed, to: Committing, actions: []Action{ReleaseDigest, StartDeadline}, why: "a commit that has begun is finished"},
		{from: []State{Frozen, RolledBack, Blocked, Pending, Planned}, event: RetryAsked, to: Planning, actions: []Action{ReleaseDigest}, why: "a person says so; a plan comes first"},

		// Life at rest.
		{from: []State{Blocked, Planned, Installed, RolledBack}, event: Drifted, guard: paused, actions: []Action{Report}, why: "told, but not corrected while paused"},
		{from: []State{Blocked, Planned, Installed, RolledBack}, event: Drifted, guard: installed, actions: []Action{CorrectDrift, Report}, why: "the current revision is what should be there"},
		{from: []State{Blocked, Planned, Installed, RolledBack, Frozen}, event: Failed, actions: []Action{Report}, why: "told; what is committed isn't taken back, and nothing is begun by itself"},

		// The end.
		{from: []State{Pending, Planning, Blocked, Planned, Preparing, RolledBack}, event: Deleted, guard: anythingSet, to: Uninstalling, actions: []Action{Report}, why: "what is there is removed"},
		{from: []State{Pending, Planning, Blocked, Planned, Preparing, RolledBack}, event: Deleted, to: Gone, actions: []Action{RemoveFinalizer}, why: "nothing is there"},
		{from: []State{Installed, Applying, Soaking, Committing, RollingBack, Frozen}, event: Deleted, to: Uninstalling, actions: []Action{Report}, why: "the objects of all revisions are removed"},
		{from: []State{Uninstalling}, event: Done, to: Gone, actions: []Action{RemoveFinalizer}, why: "nothing is left"},
		{from: []State{Uninstalling}, event: Failed, actions: []Action{Report}, why: "what hangs is named, and tried again: a deletion can't be taken back"},
		{from: []State{Uninstalling}, event: DeadlinePassed, actions: []Action{Report}, why: "what hangs is named, and tried again: a deletion can't be taken back"},
	}
}

func ignored() []ignore {
	plans := []Event{PlanGood, PlanBlocked, PlanSame, PlanUnavailable}
	return []ignore{
		{in: atRest(underWay(Frozen, Uninstalling)...), events: plans, why: "the report of a plan that was given up"},
		{in: atRest(Frozen), events: []Event{Done, DeadlinePassed}, why: "no work is under way: the report of one that was given up"},
		{in: []State{Planning}, events: []Event{Done, Failed, DeadlinePassed}, why: "a plan ends with one of its own events"},
		{in: []State{Preparing}, events: []Event{DeadlinePassed}, why: "the deadline counts from the first write, which is still to come"},

		{in: []State{Applying, Soaking, Committing, RollingBack}, events: []Event{Changed}, why: "one attempt at a time: it ends by its deadline, or at once if a person asks for a rollback. What is wanted then is planned then"},
		{in: underWay(Planning), events: []Event{Released, RetryAsked}, why: "what it asks for is being done"},
		{in: []State{Pending, Blocked, Installed, RolledBack}, events: []Event{Released}, why: "no plan waits for it"},
		{in: []State{Installed}, events: []Event{RetryAsked}, why: "nothing has failed"},
		{in: atRest(Planning), events: []Event{RollbackAsked}, why: "nothing was begun that could be taken back. An older version can be wanted in the spec, and is planned like any other"},
		{in: []State{RollingBack}, events: []Event{RollbackAsked}, why: "what it asks for is being done"},

		{in: []State{Pending}, events: []Event{Failed}, why: "nothing is there that could fail"},
		{in: []State{Pending, Blocked, Planned, Installed, RolledBack}, events: []Event{Drifted}, why: "nothing is installed that could differ"},
		{in: underWay(Planning), events: []Event{Drifted}, why: "objects are being written, or looked at; what differs afterwards is seen then"},
		{in: []State{Frozen}, events: []Event{Drifted}, why: "the agent touches nothing"},

		{in: []State{Uninstalling}, events: []Event{Changed, Released, RetryAsked, RollbackAsked, Drifted, Deleted}, why: "a deletion can't be taken back"},
		{in: []State{Gone}, events: Events(), why: "the Module isn't there any more"},
	}
}
