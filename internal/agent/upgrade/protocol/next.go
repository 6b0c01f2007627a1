package protocol

import (
	"errors"
	"fmt"
	"slices"
)

// ErrUnknown is a state or an event that the table doesn't know: the status was written by another version, or by somebody else.
var ErrUnknown = errors.New("unknown")

// Decision is what the table says of something that one of the agents has found.
type Decision struct {
	// To is the next state; the same one if there is nothing to leave it for.
	To State
	// Marks are written into the status with the state.
	Marks []Action
	// Ignored says that nothing is done, on purpose.
	Ignored bool
	// Why in a few words, for people.
	Why string
}

// Decide says what follows from an event that an agent has found. A state or an event that the table doesn't know is an [ErrUnknown]; the
// state stays. The empty state, of an attempt that nobody has looked at yet, is Pending.
func Decide(state State, event Event, by Agent, facts Facts) (Decision, error) {
	if state == "" {
		state = Pending
	}
	if placeOf(state).state == "" {
		return Decision{To: state}, fmt.Errorf("%w state %q of an agent's upgrade", ErrUnknown, state)
	}
	for _, r := range handled {
		if r.event != event || !slices.Contains(r.from, state) || !slices.Contains(r.by, by) || !r.guard.pass(facts) {
			continue
		}
		d := Decision{To: state, Marks: slices.Clone(r.actions), Why: r.why}
		if r.to != "" {
			d.To = r.to
		}
		return d, nil
	}
	for _, i := range skipped {
		if slices.Contains(i.in, state) && slices.Contains(i.events, event) && slices.Contains(i.by, by) {
			return Decision{To: state, Ignored: true, Why: i.why}, nil
		}
	}
	return Decision{To: state}, fmt.Errorf("%w event %q for the %s agent in an upgrade that is %s", ErrUnknown, event, by, state)
}
