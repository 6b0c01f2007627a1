package protocol

// rule is a line of the table: in each of these states, when one of these agents finds this and the guard holds, go there and do that. Of
// several rules for the same state, event and agent the first whose guard holds counts.
type rule struct {
	from  []State
	event Event
	by    []Agent
	guard guard
	to    State // empty: stay
	// actions are marks: they are written with the new state.
	actions []Action
	why     string
}

// ignore is a line of the table: in each of these states nothing is done about these events if one of these agents finds them, on purpose.
type ignore struct {
	in     []State
	events []Event
	by     []Agent
	why    string
}

// The table. Neither is ever written to.
var (
	handled = rules()
	skipped = ignored()
)

func rules() []rule {
	either, old, new := Agents(), []Agent{Old}, []Agent{New}
	fails := []Action{RecordFailure, StartDeadline, Report}
	ends := []State{Committed, TakenBack, Refused, Advised}
	return []rule{
		// Before the new agent is started.
		{from: []State{Pending}, event: Due, by: old, guard: advised, to: Advised, actions: []Action{Report}, why: "who owns the agent upgrades it"},
		{from: []State{Pending}, event: Due, by: old, guard: unfit, to: Refused, actions: []Action{RecordFailure, Report}, why: "switched off, or what runs isn't what the attempt goes out from"},
		{from: []State{Pending}, event: Due, by: old, to: Probing, actions: []Action{RecordHolder, StartDeadline}, why: "one attempt at a time"},
		{from: []State{Probing}, event: Done, by: old, to: Starting, actions: []Action{RecordProbe, StartDeadline}, why: "it could work here"},
		{from: []State{Probing}, event: Failed, by: old, to: TakingBack, actions: append([]Action{RecordProbe}, fails...), why: "it couldn't work here; the running agent wasn't touched"},
		{from: []State{Probing}, event: DeadlinePassed, by: old, to: TakingBack, actions: append([]Action{RecordProbe}, fails...), why: "it hasn't shown that it could work here"},

		// The new agent starts and gets the lease.
		{from: []State{Starting}, event: Done, by: old, to: HandingOver, actions: []Action{StartDeadline}, why: "it is ready, and stands by"},
		{from: []State{Starting, HandingOver}, event: NewHolds, by: either, to: Proving, actions: []Action{RecordHolder, StartDeadline}, why: "it was given the lease, or took it from an old agent that had fallen silent"},
		{from: []State{Starting, HandingOver}, event: Failed, by: old, to: TakingBack, actions: fails, why: "it doesn't start"},
		{from: []State{Starting, HandingOver}, event: DeadlinePassed, by: old, to: TakingBack, actions: fails, why: "it isn't ready in time"},

		// It proves itself, or doesn't. Only the old agent takes back: if it isn't there, an agent that isn't proved is better than none.
		{from: []State{Proving}, event: Done, by: new, to: Committing, actions: []Action{RecordHolder}, why: "it works"},
		{from: []State{Proving}, event: Failed, by: old, to: TakingBack, actions: fails, why: "it has shown that it doesn't work"},
		{from: []State{Proving}, event: DeadlinePassed, by: old, to: TakingBack, actions: fails, why: "it hasn't shown in time that it works"},
		{from: []State{Proving, Committing}, event: OldHolds, by: either, to: TakingBack, actions: fails, why: "it had fallen silent, and the old agent took the lease"},
		{from: []State{Committing}, event: Done, by: new, to: Committed, actions: []Action{RecordHolder, Report}, why: "the old agent is scaled down"},

		// It is taken back.
		{from: []State{TakingBack}, event: Done, by: old, guard: probed, to: TakenBack, actions: []Action{RecordHolder, Report}, why: "as it was before"},
		{from: []State{TakingBack}, event: Done, by: old, to: Refused, actions: []Action{RecordHolder, Report}, why: "the new agent was never started"},
		{from: []State{TakingBack}, event: DeadlinePassed, by: old, actions: []Action{StartDeadline, Report}, why: "told, and tried again: there is nothing else to do"},
		{from: []State{TakingBack}, event: DeadlinePassed, by: new, guard: leading, to: Proving, actions: []Action{ForgetFailure, RecordHolder, StartDeadline, Report}, why: "the old agent isn't there to take it back: the new one works on"},

		// A person wants the old agent back.
		{from: []State{Probing, Starting, HandingOver, Proving}, event: Deleted, by: old, to: TakingBack, actions: fails, why: "a person says so"},
		{from: []State{Probing, Starting, HandingOver, Proving, Committing, Committed}, event: RollbackAsked, by: old, to: TakingBack, actions: fails, why: "a person says so; the old slot's template is still there"},

		// The end.
		{from: append([]State{Pending}, ends...), event: Deleted, by: either, guard: leading, to: Gone, actions: []Action{RemoveFinalizer}, why: "nothing is under way"},
	}
}

func ignored() []ignore {
	either, old, new := Agents(), []Agent{Old}, []Agent{New}
	before := []State{Pending, Probing, Starting, HandingOver}
	underWay := []State{Probing, Starting, HandingOver, Proving, TakingBack, Committing}
	ends := []State{Committed, TakenBack, Refused, Advised}
	return []ignore{
		{in: underWay, events: []Event{Due}, by: either, why: "it has begun"},
		{in: []State{Pending}, events: []Event{Due}, by: new, why: "the old agent begins"},
		{in: []State{Pending}, events: []Event{Done, Failed, DeadlinePassed, NewHolds, OldHolds, RollbackAsked}, by: either, why: "nothing was begun"},
		{in: []State{Probing}, events: []Event{NewHolds, OldHolds}, by: either, why: "no new agent was started that could hold the lease"},
		{in: []State{Starting, HandingOver}, events: []Event{OldHolds}, by: either, why: "it wasn't handed over yet"},
		{in: []State{HandingOver}, events: []Event{Done}, by: old, why: "what counts is who holds the lease"},
		{in: before[1:], events: []Event{Done, Failed, DeadlinePassed, RollbackAsked, Deleted}, by: new, why: "the old agent's to decide"},

		{in: []State{Proving}, events: []Event{Done}, by: old, why: "the new agent's to decide"},
		{in: []State{Proving}, events: []Event{Failed, DeadlinePassed, RollbackAsked, Deleted}, by: new, why: "the old agent's to decide. If it isn't there, the new one works on"},
		{in: []State{Proving}, events: []Event{NewHolds}, by: either, why: "so it should be"},

		{in: []State{Committing}, events: []Event{NewHolds, Failed, DeadlinePassed, Deleted}, by: either, why: "tried again until it is done"},
		{in: []State{Committing}, events: []Event{Done}, by: old, why: "the new agent's to decide"},
		{in: []State{Committing, Committed}, events: []Event{RollbackAsked}, by: new, why: "the old agent's to do: 'slipway agent rollback' acts as it"},

		{in: []State{TakingBack}, events: []Event{NewHolds, OldHolds}, by: either, why: "so it is before the lease is taken, or so it should be"},
		{in: []State{TakingBack}, events: []Event{Failed, RollbackAsked, Deleted}, by: either, why: "what it asks for is being done"},
		{in: []State{TakingBack}, events: []Event{Done, DeadlinePassed}, by: new, why: "the old agent's to decide, as it holds the lease"},

		{in: ends, events: []Event{Due, Done, Failed, DeadlinePassed, NewHolds, OldHolds}, by: either, why: "it has ended"},
		{in: ends[1:], events: []Event{RollbackAsked}, by: either, why: "the old agent runs"},
		{in: append([]State{Pending}, ends...), events: []Event{Deleted}, by: either, why: "who holds the lease lets it go"},
		{in: []State{Gone}, events: Events(), by: either, why: "the AgentUpgrade isn't there any more"},
	}
}
