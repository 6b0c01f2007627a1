package protocol

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/config"
)

const (
	slots    = v1alpha1.AgentUpgradeSlots
	recreate = v1alpha1.AgentUpgradeRecreate
)

// everyState lists all states, in the order in which people meet them.
func everyState() []State {
	var all []State
	for _, p := range placed {
		all = append(all, p.state)
	}
	return all
}

// everyFact calls f with all combinations of facts that a decision may look at.
func everyFact(f func(Facts)) {
	for bits := range 1 << 5 {
		b := func(i int) bool { return bits>>i&1 == 1 }
		mode := slots
		if b(0) {
			mode = recreate
		}
		f(Facts{Mode: mode, Advised: b(1), Unfit: b(2), Probed: b(3), Leading: b(4)})
	}
}

func TestEveryEventInEveryStateIsHandledOrIgnoredOnPurpose(t *testing.T) {
	decided := 0
	for _, state := range everyState() {
		for _, event := range Events() {
			for _, by := range Agents() {
				everyFact(func(f Facts) {
					d, err := Decide(state, event, by, f)
					switch {
					case err != nil:
						t.Fatalf("%s in %s found by %s with %+v: %v", event, state, by, f, err)
					case d.Why == "":
						t.Fatalf("%s in %s found by %s: no reason is given", event, state, by)
					case d.Ignored && (d.To != state || len(d.Marks) > 0):
						t.Fatalf("%s in %s found by %s is ignored and does something: %+v", event, state, by, d)
					}
					decided++
				})
			}
		}
	}
	if want := len(everyState()) * len(Events()) * 2 * 32; decided != want {
		t.Errorf("looked at %d combinations, want %d", decided, want)
	}
}

// TestNoLineIsInVain: a line that can never count is a mistake in the order of the table.
func TestNoLineIsInVain(t *testing.T) {
	for i, r := range handled {
		for _, from := range r.from {
			for _, by := range r.by {
				counts := false
				everyFact(func(f Facts) {
					counts = counts || r.guard.pass(f) && !slices.ContainsFunc(handled[:i], func(earlier rule) bool {
						return earlier.event == r.event && slices.Contains(earlier.from, from) && slices.Contains(earlier.by, by) && earlier.guard.pass(f)
					})
				})
				if !counts {
					t.Errorf("rule %d (%s in %s by %s) never counts: earlier ones take everything", i, r.event, from, by)
				}
			}
		}
	}
	for i, line := range skipped {
		for _, state := range line.in {
			for _, event := range line.events {
				for _, by := range line.by {
					if slices.ContainsFunc(skipped[:i], func(earlier ignore) bool {
						return slices.Contains(earlier.in, state) && slices.Contains(earlier.events, event) && slices.Contains(earlier.by, by)
					}) {
						t.Errorf("%s in %s by %s is ignored twice", event, state, by)
					}
					if slices.ContainsFunc(handled, func(r rule) bool {
						return r.event == event && slices.Contains(r.from, state) && slices.Contains(r.by, by) && r.guard.holds == nil
					}) {
						t.Errorf("%s in %s by %s is handled always, and ignored as well", event, state, by)
					}
				}
			}
		}
	}
}

// TestTransitionsOnlyMark: what is done on the way is written with the state; work is done in a state, where it can be done again.
func TestTransitionsOnlyMark(t *testing.T) {
	for _, r := range handled {
		if i := slices.IndexFunc(r.actions, func(a Action) bool { return !a.Mark() }); i >= 0 {
			t.Errorf("%s to %s does %s on the way", r.event, r.to, r.actions[i])
		}
	}
	for _, p := range placed {
		for _, work := range [][]Action{p.old, p.recreate, p.new} {
			if slices.ContainsFunc(work, Action.Mark) {
				t.Errorf("the work of %s has marks in it: %v", p.state, work)
			}
			if p.state.Ended() && len(work) > 0 {
				t.Errorf("%s has ended and has this to do: %v", p.state, work)
			}
		}
	}
}

func TestDecide(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		state  State
		event  Event
		by     Agent
		facts  Facts
		to     State
		marks  []Action
	}{
		"New":            {"an attempt that nobody has looked at begins with a probe", "", Due, Old, Facts{}, Probing, []Action{RecordHolder, StartDeadline}},
		"Advised":        {"who owns the agent upgrades it", Pending, Due, Old, Facts{Advised: true}, Advised, []Action{Report}},
		"Off":            {"self-upgrade is switched off", Pending, Due, Old, Facts{Unfit: true}, Refused, []Action{RecordFailure, Report}},
		"Probed":         {"the probe passes", Probing, Done, Old, Facts{}, Starting, []Action{RecordProbe, StartDeadline}},
		"ProbeFails":     {"the probe fails", Probing, Failed, Old, Facts{}, TakingBack, []Action{RecordProbe, RecordFailure, StartDeadline, Report}},
		"NeverStarted":   {"nothing was started that could be taken back", TakingBack, Done, Old, Facts{}, Refused, []Action{RecordHolder, Report}},
		"Ready":          {"the new slot is ready", Starting, Done, Old, Facts{Probed: true}, HandingOver, []Action{StartDeadline}},
		"Crashes":        {"the new slot crashes at start", Starting, Failed, Old, Facts{Probed: true}, TakingBack, []Action{RecordFailure, StartDeadline, Report}},
		"HandedOver":     {"the lease is the new slot's", HandingOver, NewHolds, New, Facts{Probed: true, Leading: true}, Proving, []Action{RecordHolder, StartDeadline}},
		"OldLost":        {"the old agent fell silent while the new one stood by", Starting, NewHolds, New, Facts{Probed: true, Leading: true}, Proving, []Action{RecordHolder, StartDeadline}},
		"Proved":         {"the new agent works", Proving, Done, New, Facts{Probed: true, Leading: true}, Committing, []Action{RecordHolder}},
		"NotProved":      {"it hasn't shown in time that it works", Proving, DeadlinePassed, Old, Facts{Probed: true}, TakingBack, []Action{RecordFailure, StartDeadline, Report}},
		"NotItsOwnJudge": {"the new agent doesn't end itself", Proving, DeadlinePassed, New, Facts{Probed: true, Leading: true}, Proving, nil},
		"NewLost":        {"the new agent fell silent", Proving, OldHolds, Old, Facts{Probed: true, Leading: true}, TakingBack, []Action{RecordFailure, StartDeadline, Report}},
		"Committed":      {"the old one is scaled down", Committing, Done, New, Facts{Probed: true, Leading: true}, Committed, []Action{RecordHolder, Report}},
		"TooLate":        {"a deadline doesn't count after the proof", Committing, DeadlinePassed, Old, Facts{Probed: true}, Committing, nil},
		"TakenBack":      {"as it was before", TakingBack, Done, Old, Facts{Probed: true, Leading: true}, TakenBack, []Action{RecordHolder, Report}},
		"NobodyThere":    {"the old agent never came back to take back", TakingBack, DeadlinePassed, New, Facts{Probed: true, Leading: true}, Proving, []Action{ForgetFailure, RecordHolder, StartDeadline, Report}},
		"Deposed":        {"the old agent is about to: the new one leaves it alone", TakingBack, DeadlinePassed, New, Facts{Probed: true}, TakingBack, nil},
		"BreakGlass":     {"a person wants the old agent back after the commit", Committed, RollbackAsked, Old, Facts{Probed: true}, TakingBack, []Action{RecordFailure, StartDeadline, Report}},
		"DeletedMidway":  {"deleting it takes it back", Proving, Deleted, Old, Facts{Probed: true}, TakingBack, []Action{RecordFailure, StartDeadline, Report}},
		"DeletedAfter":   {"an attempt that has ended goes", Committed, Deleted, New, Facts{Probed: true, Leading: true}, Gone, []Action{RemoveFinalizer}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Decide(tc.state, tc.event, tc.by, tc.facts)
			if err != nil || d.To != tc.to {
				t.Errorf("%s: got %s, %v, want %s", tc.reason, d.To, err, tc.to)
			}
			if diff := cmp.Diff(tc.marks, d.Marks); diff != "" {
				t.Errorf("%s: marks (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestEveryStateIsAPhase: the definition admits the states of the table and nothing else.
func TestEveryStateIsAPhase(t *testing.T) {
	text, err := config.FS.ReadFile("crd/bases/slipway.dev_agentupgrades.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(text, crd); err != nil {
		t.Fatal(err)
	}
	var phases []State
	for _, word := range crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"].Properties["phase"].Enum {
		var phase State
		if err := json.Unmarshal(word.Raw, &phase); err != nil {
			t.Fatal(err)
		}
		phases = append(phases, phase)
	}
	want := slices.DeleteFunc(everyState(), func(s State) bool { return s == Gone })
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("(-states +phases):\n%s", diff)
	}
}

func TestWhatTheTableDoesNotKnow(t *testing.T) {
	for name, tc := range map[string]struct {
		state State
		event Event
		by    Agent
	}{
		"State": {"Molting", Due, Old},
		"Event": {Proving, "Rained", Old},
		"Agent": {Proving, Done, "Third"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Decide(tc.state, tc.event, tc.by, Facts{})
			if !errors.Is(err, ErrUnknown) || d.To != tc.state || d.Marks != nil {
				t.Errorf("got %+v, %v, want the state unchanged and ErrUnknown", d, err)
			}
		})
	}
}
