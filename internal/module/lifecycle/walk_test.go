package lifecycle

import (
	"fmt"
	"slices"
	"testing"
)

// module is a Module as far as the table is concerned: its state, and what the marks have left in its status. The walk below goes through
// everything that can happen to one, beginning with a new one.
type module struct {
	state       State
	installed   bool // status.current
	unsettled   bool // status.attempt
	commitBegun bool // status.attempt.commitBegan
	over        bool // status.attempt.overCommitted
	// spoken: a person has spoken (changed the spec, approved, asked for another try) since the attempt that is unsettled was begun.
	spoken bool
	// rejected: the digest that was tried last is on the list, and the spec is still the same.
	rejected bool
	// deleted: the Module was.
	deleted bool
}

// step is something that happens to a module, and how the rest of the world is then.
type step struct {
	event Event
	// byPerson: a Changed that is a change of the spec, a Released that is an approval.
	byPerson bool
	facts    Facts
}

// steps lists all that can happen to a module.
func (m module) steps() (all []step) {
	for _, event := range Events() {
		if m.deleted != (m.state == Uninstalling) {
			panic("deleted and not uninstalling")
		}
		for bits := range 1 << 7 {
			b := func(i int) bool { return bits>>i&1 == 1 }
			f := Facts{
				Installed: m.installed, Unsettled: m.unsettled, CommitBegun: m.commitBegun, NoWayBack: m.commitBegun || m.over,
				Reversible: b(0), Automatic: b(1), Forced: b(2), MayStart: b(3), Paused: b(4),
				// A new plan may be for the digest that was rejected, or for another one.
				Rejected: m.rejected && b(5),
				Approved: m.spoken && b(6),
			}
			all = append(all, step{event: event, facts: f})
			if event == Changed || event == Released {
				all = append(all, step{event: event, facts: f, byPerson: true})
			}
		}
	}
	return all
}

// after returns the module after a decision: the marks are what the agent writes.
func (m module) after(s step, d Decision) module {
	m.state = d.To
	switch {
	case s.byPerson:
		m.spoken, m.rejected = true, m.rejected && s.event != Changed
	case s.event == RetryAsked:
		m.spoken = true
	case s.event == Deleted:
		m.deleted = true
	}
	for _, a := range d.Actions {
		switch a {
		case BeginAttempt:
			m.over = m.unsettled && (m.commitBegun || m.over)
			m.unsettled, m.commitBegun, m.spoken = true, false, false
		case BeginCommit:
			m.commitBegun = true
		case MakeCurrent:
			m.installed = true
		case ForgetAttempt:
			m.unsettled, m.commitBegun, m.over = false, false, false
		case RejectDigest:
			m.rejected = true
		case ReleaseDigest:
			m.rejected = false
		}
	}
	if m.state == Gone {
		m = module{state: Gone}
	}
	return m
}

// walk calls see for every decision on every way that a module can take, and returns the modules that it met.
func walk(t *testing.T, see func(before module, s step, d Decision, after module)) []module {
	t.Helper()
	met := map[module]bool{{state: Pending}: true}
	order := []module{{state: Pending}}
	for i := 0; i < len(order); i++ {
		before := order[i]
		if before.state == Gone {
			continue
		}
		for _, s := range before.steps() {
			d, err := Decide(before.state, s.event, s.facts)
			if err != nil {
				t.Fatal(err)
			}
			after := before.after(s, d)
			see(before, s, d, after)
			if !met[after] {
				met[after] = true
				order = append(order, after)
			}
		}
	}
	return order
}

func TestEveryStateIsReached(t *testing.T) {
	reached := map[State]bool{}
	for _, m := range walk(t, func(module, step, Decision, module) {}) {
		reached[m.state] = true
	}
	for _, state := range States() {
		if !reached[state] {
			t.Errorf("nothing leads to %s", state)
		}
	}
}

func TestNothingIsWrittenBeforeAPlanWithoutProblems(t *testing.T) {
	walk(t, func(before module, s step, d Decision, _ module) {
		if d.To == Preparing && before.state != Preparing && (before.state != Planning || s.event != PlanGood || !s.facts.MayStart) {
			t.Fatalf("%s in %s leads to Preparing (%+v)", s.event, before.state, s.facts)
		}
		if slices.Contains(d.Actions, BeginAttempt) != (d.To == Applying && before.state == Preparing) {
			t.Fatalf("%s in %s: %v", s.event, before.state, d.Actions)
		}
		if d.To == Applying && before.state != Applying && (before.state != Preparing || s.event != Done) {
			t.Fatalf("%s in %s leads to Applying", s.event, before.state)
		}
	})
}

// TestNothingIsLostBeforeTheCommit: what can't be undone is done only after the status says that the commit has begun.
func TestNothingIsLostBeforeTheCommit(t *testing.T) {
	final := []Action{FlipStorage, MigrateObjects, PruneOld, NarrowRoles, MakeCurrent}
	seen := map[Action]bool{}
	walk(t, func(before module, s step, d Decision, after module) {
		for _, a := range d.Actions {
			seen[a] = true
			switch {
			case slices.Contains(final, a) && !before.commitBegun && !after.commitBegun:
				t.Fatalf("%s in %s does %s before the commit has begun", s.event, before.state, a)
			case a == BeginCommit && (before.state != Soaking || s.event != Done):
				t.Fatalf("%s in %s begins the commit", s.event, before.state)
			case a == RemoveAll && !after.deleted:
				t.Fatalf("%s in %s removes everything, and nobody deleted the Module", s.event, before.state)
			}
		}
		if i := slices.Index(d.Actions, BeginCommit); i > 0 {
			t.Fatalf("the commit is begun after %v", d.Actions[:i])
		}
	})
	for _, a := range append(final, RemoveAll, RemoveNew) {
		if !seen[a] {
			t.Errorf("%s is never done: this test sees nothing", a)
		}
	}
	for _, state := range States() {
		work := Work(state)
		for _, taken := range []Action{RemoveNew, RestoreRoles} {
			if i := slices.Index(work, taken); i >= 0 && slices.Index(work[:i], ProveOld) < 0 {
				t.Errorf("%s does %s before the old revision is healthy again", state, taken)
			}
		}
		if slices.Contains(work, NarrowRoles) && slices.Index(work, NarrowRoles) < slices.Index(work, PruneOld) {
			t.Errorf("%s narrows roles before those who need them are gone", state)
		}
		if slices.Contains(work, ApplyObjects) && slices.Index(work, WidenRoles) != 0 {
			t.Errorf("%s applies objects before they have the roles that they need", state)
		}
	}
}

func TestNothingIsTakenBackAfterTheCommitHasBegun(t *testing.T) {
	refused := 0
	walk(t, func(before module, s step, d Decision, after module) {
		if after.state == RollingBack && (after.commitBegun || after.over) {
			t.Fatalf("%s in %s takes back what is committed (%+v)", s.event, before.state, s.facts)
		}
		if before.commitBegun && after.state == RolledBack {
			t.Fatalf("%s in %s says that a committed attempt was taken back", s.event, before.state)
		}
		if s.event == RollbackAsked && (before.commitBegun || before.over) && before.state == Frozen {
			refused++
			if !slices.Contains(d.Actions, Report) {
				t.Fatal("a rollback is refused without a word")
			}
		}
	})
	if refused == 0 {
		t.Error("no rollback was asked for after a commit: this test sees nothing")
	}
}

// TestAFailedDigestIsNotRetriedByItself: every failure rejects the digest, and nothing is begun with a rejected digest; only a person takes
// one off the list.
func TestAFailedDigestIsNotRetriedByItself(t *testing.T) {
	refused := 0
	walk(t, func(before module, s step, d Decision, after module) {
		trying := slices.Contains([]State{Applying, Soaking, Committing}, before.state)
		if trying && slices.Contains([]Event{Failed, DeadlinePassed}, s.event) && !slices.Contains(d.Actions, RejectDigest) {
			t.Fatalf("%s in %s doesn't reject the digest", s.event, before.state)
		}
		if s.facts.Rejected && s.event == PlanGood && before.state == Planning {
			refused++
			if d.To != RolledBack && d.To != Frozen {
				t.Fatalf("a rejected digest leads to %s", d.To)
			}
		}
		if before.rejected && !after.rejected && !s.byPerson && s.event != RetryAsked && after.state != Gone {
			t.Fatalf("%s in %s releases the digest", s.event, before.state)
		}
	})
	if refused == 0 {
		t.Error("no rejected digest was planned: this test sees nothing")
	}
}

func TestOnlyAPersonLeadsOutOfFrozen(t *testing.T) {
	forward := 0
	walk(t, func(before module, s step, d Decision, after module) {
		person := s.event == RollbackAsked || s.event == RetryAsked || s.event == Deleted
		switch {
		case before.state == Frozen && after.state != Frozen && after.state != Planning && !person:
			t.Fatalf("%s leads from Frozen to %s", s.event, after.state)
		case before.state == Planning && before.unsettled && !person && !before.spoken && after.state != Planning && after.state != Frozen &&
			s.event != PlanSame:
			t.Fatalf("%s leads a frozen module to %s, and nobody said so", s.event, after.state)
		case before.state == Planning && before.unsettled && after.state == Preparing:
			forward++
		}
	})
	if forward == 0 {
		t.Error("nothing leads forward out of Frozen: this test sees nothing")
	}
}

// TestTheStatusTellsTheTruth: what a state promises of the cluster is what the marks say.
func TestTheStatusTellsTheTruth(t *testing.T) {
	for _, m := range walk(t, func(module, step, Decision, module) {}) {
		wrong := ""
		switch m.state {
		case Installed:
			if !m.installed || m.unsettled {
				wrong = "is Installed"
			}
		case Pending:
			if m.installed || m.unsettled {
				wrong = "is Pending"
			}
		case Frozen, Applying, Soaking, RollingBack:
			if !m.unsettled {
				wrong = "is in an attempt"
			}
		case Committing:
			if !m.commitBegun {
				wrong = "is committing"
			}
		case Blocked, Planned, RolledBack:
			if m.unsettled {
				wrong = "rests beside an attempt that isn't settled"
			}
		}
		if wrong != "" {
			t.Errorf("%+v: %s", m, wrong)
		}
	}
}

// TestWorkEnds: however the work of a state ends, and that of the next one, it comes to rest. An uninstallation that hangs is the exception:
// it goes on until it is done, as a deletion can't be taken back.
func TestWorkEnds(t *testing.T) {
	ends := []Event{Done, Failed, DeadlinePassed, PlanGood, PlanBlocked, PlanSame, PlanUnavailable}
	next := map[module]map[module]bool{}
	met := walk(t, func(before module, s step, d Decision, after module) {
		if Resting(before.state) || d.Ignored || !slices.Contains(ends, s.event) {
			return
		}
		if before.state == Uninstalling && s.event != Done {
			return
		}
		if next[before] == nil {
			next[before] = map[module]bool{}
		}
		next[before][after] = true
	})
	var (
		depth = map[module]int{}
		visit func(m module, path []module) int
	)
	visit = func(m module, path []module) int {
		if Resting(m.state) {
			return 0
		}
		if slices.Contains(path, m) {
			t.Fatalf("work goes round: %s", fmt.Sprint(append(path, m)))
		}
		if n, known := depth[m]; known {
			return n
		}
		if len(next[m]) == 0 {
			t.Fatalf("nothing ends the work of %+v", m)
		}
		longest := 0
		for to := range next[m] {
			longest = max(longest, 1+visit(to, append(path, m)))
		}
		depth[m] = longest
		return longest
	}
	longest := 0
	for _, m := range met {
		longest = max(longest, visit(m, nil))
	}
	if longest != 5 { // plan, prepare, apply, soak, and either roll back or commit
		t.Errorf("the longest way to rest has %d steps", longest)
	}
}
