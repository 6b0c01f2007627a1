package lifecycle

import (
	"errors"
	"fmt"
	"slices"
)

// ErrUnknown is a state or an event that the table doesn't know: the status was written by another version, or by somebody else.
var ErrUnknown = errors.New("unknown")

// Decision is what the table says of something that has happened.
type Decision struct {
	// To is the next state; the same one if there is nothing to leave it for.
	To State
	// Actions in their order: first marks, then the work of a new state.
	Actions []Action
	// Ignored says that nothing is done, on purpose.
	Ignored bool
	// Why in a few words, for people.
	Why string
}

// Next returns the state that follows, and what to do, in this order. Nothing follows from what is ignored: the state stays, and there are
// no actions. A state or an event that the table doesn't know is an [ErrUnknown]; the state stays.
func Next(state State, event Event, facts Facts) (State, []Action, error) {
	d, err := Decide(state, event, facts)
	return d.To, d.Actions, err
}

// Decide is Next with the reason. The empty state, of a Module that nobody has looked at yet, is Pending.
func Decide(state State, event Event, facts Facts) (Decision, error) {
	if state == "" {
		state = Pending
	}
	if placeOf(state).state == "" {
		return Decision{To: state}, fmt.Errorf("%w state %q of a module", ErrUnknown, state)
	}
	for _, r := range handled {
		if r.event != event || !slices.Contains(r.from, state) || !r.guard.pass(facts) {
			continue
		}
		d := Decision{To: state, Actions: slices.Clone(r.actions), Why: r.why}
		if r.to != "" {
			d.To = r.to
			d.Actions = append(d.Actions, Work(r.to)...)
		}
		return d, nil
	}
	for _, i := range skipped {
		if slices.Contains(i.in, state) && slices.Contains(i.events, event) {
			return Decision{To: state, Ignored: true, Why: i.why}, nil
		}
	}
	return Decision{To: state}, fmt.Errorf("%w event %q for a module that is %s", ErrUnknown, event, state)
}
