package lifecycle

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

// everyFact calls f with all combinations of facts.
func everyFact(f func(Facts)) {
	const n = 11
	for bits := range 1 << n {
		b := func(i int) bool { return bits>>i&1 == 1 }
		f(Facts{
			Installed: b(0), Unsettled: b(1), CommitBegun: b(2), NoWayBack: b(3), Reversible: b(4), Automatic: b(5),
			Forced: b(6), Rejected: b(7), MayStart: b(8), Approved: b(9), Paused: b(10),
		})
	}
}

func TestEveryEventInEveryStateIsHandledOrIgnoredOnPurpose(t *testing.T) {
	for _, state := range States() {
		for _, event := range Events() {
			decided := 0
			everyFact(func(f Facts) {
				d, err := Decide(state, event, f)
				switch {
				case err != nil:
					t.Fatalf("%s in %s with %+v: %v", event, state, f, err)
				case d.Why == "":
					t.Fatalf("%s in %s with %+v: no reason is given", event, state, f)
				case d.Ignored && (d.To != state || len(d.Actions) > 0):
					t.Fatalf("%s in %s with %+v is ignored and does something: %+v", event, state, f, d)
				}
				decided++
			})
			if decided != 2048 {
				t.Fatalf("looked at %d combinations of facts", decided)
			}
		}
	}
}

// TestNoRuleIsInVain: a line that can never count is a mistake in the order of the table.
func TestNoRuleIsInVain(t *testing.T) {
	for i, r := range handled {
		for _, from := range r.from {
			counts := false
			everyFact(func(f Facts) {
				if counts || !r.guard.pass(f) {
					return
				}
				counts = !slices.ContainsFunc(handled[:i], func(earlier rule) bool {
					return earlier.event == r.event && slices.Contains(earlier.from, from) && earlier.guard.pass(f)
				})
			})
			if !counts {
				t.Errorf("rule %d (%s in %s) never counts: earlier ones take everything", i, r.event, from)
			}
		}
	}
	for i, line := range skipped {
		for _, state := range line.in {
			for _, event := range line.events {
				for _, earlier := range skipped[:i] {
					if slices.Contains(earlier.in, state) && slices.Contains(earlier.events, event) && state != Gone {
						t.Errorf("%s in %s is ignored twice", event, state)
					}
				}
				if slices.ContainsFunc(handled, func(r rule) bool {
					return r.event == event && slices.Contains(r.from, state) && r.guard.holds == nil
				}) {
					t.Errorf("%s in %s is handled always, and ignored as well", event, state)
				}
			}
		}
	}
}

// TestMarksComeFirst: what is written with the state comes before the work of the state.
func TestMarksComeFirst(t *testing.T) {
	for _, state := range States() {
		if slices.ContainsFunc(Work(state), Action.Mark) {
			t.Errorf("the work of %s has marks in it: %v", state, Work(state))
		}
		if Resting(state) != (len(Work(state)) == 0) {
			t.Errorf("%s rests: %v, and has this to do: %v", state, Resting(state), Work(state))
		}
	}
	for _, r := range handled {
		if r.to == "" || r.to == Gone {
			continue
		}
		if i := slices.IndexFunc(r.actions, func(a Action) bool { return !a.Mark() }); i >= 0 {
			t.Errorf("%s to %s does %s on the way, before the new state is written", r.event, r.to, r.actions[i])
		}
	}
}

func TestNext(t *testing.T) {
	good := Facts{Installed: true, MayStart: true, Automatic: true, Reversible: true}
	attempt := Facts{Installed: true, Unsettled: true, Automatic: true, Reversible: true}
	with := func(f Facts, change func(*Facts)) Facts { change(&f); return f }
	cases := map[string]struct {
		reason  string
		state   State
		event   Event
		facts   Facts
		to      State
		actions []Action
	}{
		"New":            {"a Module that nobody has looked at is planned", "", Changed, Facts{}, Planning, []Action{MakePlan}},
		"Start":          {"a good plan that may start is stored first", Planning, PlanGood, good, Preparing, []Action{StoreRevision}},
		"Wait":           {"a good plan that may not start waits", Planning, PlanGood, Facts{Installed: true}, Planned, []Action{Report}},
		"Window":         {"the window opens: the plan is made again first", Planned, Released, good, Planning, []Action{MakePlan}},
		"Problems":       {"a plan with problems writes nothing", Planning, PlanBlocked, good, Blocked, []Action{Report}},
		"Nothing":        {"nothing to do, nothing done", Planning, PlanSame, good, Installed, []Action{ForgetAttempt}},
		"SourceAway":     {"the registry is away: what is installed stays", Planning, PlanUnavailable, good, Installed, []Action{Report}},
		"SourceAwayNew":  {"the registry is away, nothing is installed", Planning, PlanUnavailable, Facts{}, Pending, []Action{Report}},
		"Intention":      {"the intention is written before the first change", Preparing, Done, good, Applying, []Action{BeginAttempt, StartDeadline, WidenRoles, ServeNewVersions, ApplyObjects}},
		"Commit":         {"the soak is passed", Soaking, Done, attempt, Committing, []Action{BeginCommit, StartDeadline, FlipStorage, MigrateObjects, PruneOld, NarrowRoles}},
		"Committed":      {"the commit is done", Committing, Done, attempt, Installed, []Action{MakeCurrent, ForgetAttempt}},
		"TakenBack":      {"a reversible attempt fails", Soaking, Failed, attempt, RollingBack, []Action{RejectDigest, StartDeadline, Report, RestoreDefinitions, ReapplyOld, ProveOld, RemoveNew, RestoreRoles}},
		"Late":           {"a reversible attempt isn't healthy in time", Applying, DeadlinePassed, attempt, RollingBack, []Action{RejectDigest, StartDeadline, Report, RestoreDefinitions, ReapplyOld, ProveOld, RemoveNew, RestoreRoles}},
		"Irreversible":   {"one that can't be taken back freezes", Applying, Failed, with(attempt, func(f *Facts) { f.Reversible = false }), Frozen, []Action{RejectDigest, Report}},
		"ManualRollback": {"one that mustn't be taken back without a person freezes", Soaking, Failed, with(attempt, func(f *Facts) { f.Automatic = false }), Frozen, []Action{RejectDigest, Report}},
		"ByHand":         {"a person takes it back", Frozen, RollbackAsked, with(attempt, func(f *Facts) { f.Automatic = false }), RollingBack, []Action{RejectDigest, StartDeadline, Report, RestoreDefinitions, ReapplyOld, ProveOld, RemoveNew, RestoreRoles}},
		"Refused":        {"a person wants back what can't be", Frozen, RollbackAsked, with(attempt, func(f *Facts) { f.Reversible = false }), Frozen, []Action{Report}},
		"Forced":         {"and insists", Frozen, RollbackAsked, with(attempt, func(f *Facts) { f.Reversible, f.Forced = false, true }), RollingBack, []Action{RejectDigest, StartDeadline, Report, RestoreDefinitions, ReapplyOld, ProveOld, RemoveNew, RestoreRoles}},
		"TooLate":        {"no force leads back behind a commit", Frozen, RollbackAsked, with(attempt, func(f *Facts) { f.Forced, f.CommitBegun, f.NoWayBack = true, true, true }), Frozen, []Action{Report}},
		"FinishCommit":   {"a commit that failed is finished on request", Frozen, RetryAsked, with(attempt, func(f *Facts) { f.CommitBegun, f.NoWayBack = true, true }), Committing, []Action{ReleaseDigest, StartDeadline, FlipStorage, MigrateObjects, PruneOld, NarrowRoles}},
		"NotThatCommit":  {"an attempt over a broken commit has its own gate to pass", Frozen, RetryAsked, with(attempt, func(f *Facts) { f.NoWayBack = true }), Planning, []Action{ReleaseDigest, MakePlan}},
		"NotAgain":       {"the digest failed before", Planning, PlanGood, with(good, func(f *Facts) { f.Rejected = true }), RolledBack, []Action{Report}},
		"Again":          {"until a person wants it again", RolledBack, RetryAsked, Facts{Installed: true, Rejected: true}, Planning, []Action{ReleaseDigest, MakePlan}},
		"FrozenStays":    {"the catalogue moves on: a frozen module waits for a person", Planning, PlanGood, with(attempt, func(f *Facts) { f.MayStart = true }), Frozen, []Action{Report}},
		"FrozenForward":  {"who approves it", Planning, PlanGood, with(attempt, func(f *Facts) { f.MayStart, f.Approved = true, true }), Preparing, []Action{StoreRevision}},
		"Drift":          {"drift is corrected", Installed, Drifted, Facts{Installed: true}, Installed, []Action{CorrectDrift, Report}},
		"DriftPaused":    {"and told while paused", Installed, Drifted, Facts{Installed: true, Paused: true}, Installed, []Action{Report}},
		"DriftFrozen":    {"a frozen module isn't touched", Frozen, Drifted, attempt, Frozen, nil},
		"OneAtATime":     {"a change waits for the end of the attempt", Applying, Changed, attempt, Applying, nil},
		"Uninstall":      {"a deleted Module", Soaking, Deleted, attempt, Uninstalling, []Action{Report, RemoveAll}},
		"NeverThere":     {"a Module that was never installed", Blocked, Deleted, Facts{}, Gone, []Action{RemoveFinalizer}},
		"Removed":        {"all is removed", Uninstalling, Done, Facts{Installed: true}, Gone, []Action{RemoveFinalizer}},
		"Hangs":          {"something hangs", Uninstalling, DeadlinePassed, Facts{Installed: true}, Uninstalling, []Action{Report}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			to, actions, err := Next(tc.state, tc.event, tc.facts)
			if err != nil || to != tc.to {
				t.Errorf("%s: got %s, %v, want %s", tc.reason, to, err, tc.to)
			}
			if diff := cmp.Diff(tc.actions, actions); diff != "" {
				t.Errorf("%s: actions (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestEveryStateIsAPhase: the definition admits the states of the table and nothing else.
func TestEveryStateIsAPhase(t *testing.T) {
	text, err := config.FS.ReadFile("crd/bases/slipway.dev_modules.yaml")
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
	want := slices.DeleteFunc(States(), func(s State) bool { return s == Gone })
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("(-states +phases):\n%s", diff)
	}
}

func TestWhatTheTableDoesNotKnow(t *testing.T) {
	for name, tc := range map[string]struct {
		state State
		event Event
	}{
		"State": {"Upgrading", Changed},
		"Event": {Installed, "Rained"},
	} {
		t.Run(name, func(t *testing.T) {
			to, actions, err := Next(tc.state, tc.event, Facts{})
			if !errors.Is(err, ErrUnknown) || to != tc.state || actions != nil {
				t.Errorf("got %s, %v, %v, want the state unchanged and ErrUnknown", to, actions, err)
			}
		})
	}
}
