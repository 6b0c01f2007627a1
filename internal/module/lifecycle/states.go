package lifecycle

import (
	"slices"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// State is where a module is: the phase in its status.
type State = v1alpha1.ModulePhase

// The states have the names of the phases. What each of them means is said there.
const (
	Pending      = v1alpha1.PhasePending
	Planning     = v1alpha1.PhasePlanning
	Blocked      = v1alpha1.PhaseBlocked
	Planned      = v1alpha1.PhasePlanned
	Preparing    = v1alpha1.PhasePreparing
	Applying     = v1alpha1.PhaseApplying
	Soaking      = v1alpha1.PhaseSoaking
	Committing   = v1alpha1.PhaseCommitting
	Installed    = v1alpha1.PhaseInstalled
	RollingBack  = v1alpha1.PhaseRollingBack
	RolledBack   = v1alpha1.PhaseRolledBack
	Frozen       = v1alpha1.PhaseFrozen
	Uninstalling = v1alpha1.PhaseUninstalling
	// Gone is the end: the Module has no finalizer any more. It is never stored.
	Gone State = "Gone"
)

// place is what there is to say of a state.
type place struct {
	state State
	// resting states have no work: nothing happens before something changes.
	resting bool
	// work is done in the state, from its beginning after each restart.
	work []Action
	// means and cluster are for people: what the state is, and what is in the cluster meanwhile.
	means, cluster string
}

// placed is never written to.
var placed = places()

// places lists all states, in the order in which people meet them.
func places() []place {
	return []place{
		{
			state: Pending, resting: true,
			means:   "nothing was installed, and nothing can be planned yet: the source can't be asked",
			cluster: "nothing",
		},
		{
			state: Planning, work: []Action{MakePlan},
			means:   "finds out what an attempt would do; writes nothing",
			cluster: "as before",
		},
		{
			state: Blocked, resting: true,
			means:   "the plan has problems, all of them in `status.plan.problems`",
			cluster: "the current revision, or nothing",
		},
		{
			state: Planned, resting: true,
			means:   "the plan is good and waits for what `status.plan.waitsFor` says: an approval, a window, an age, other modules",
			cluster: "the current revision, or nothing",
		},
		{
			state: Preparing, work: []Action{StoreRevision},
			means:   "stores the new revision",
			cluster: "the current revision, or nothing",
		},
		{
			state: Applying, work: []Action{WidenRoles, ServeNewVersions, ApplyObjects},
			means:   "writes the new revision step by step; the next step begins when all objects of this one are healthy",
			cluster: "both revisions; nothing is deleted",
		},
		{
			state: Soaking, work: []Action{WatchGate},
			means:   "everything is written and has to stay healthy, and every check has to hold, for the length of the soak",
			cluster: "both revisions; nothing is deleted",
		},
		{
			state: Committing, work: []Action{FlipStorage, MigrateObjects, PruneOld, NarrowRoles},
			means:   "lets go of the old revision. **There is no way back from here**",
			cluster: "the new revision, and what is left of the old one",
		},
		{
			state: Installed, resting: true,
			means:   "what is wanted is there",
			cluster: "the current revision",
		},
		{
			state: RollingBack, work: []Action{RestoreDefinitions, ReapplyOld, ProveOld, RemoveNew, RestoreRoles},
			means:   "takes an attempt back. What only the new revision has is removed when the old one is healthy again",
			cluster: "both revisions",
		},
		{
			state: RolledBack, resting: true,
			means:   "the wanted version failed, `status.rejected` says why; it isn't tried again by itself",
			cluster: "the current revision, or nothing if that was the first installation",
		},
		{
			state: Frozen, resting: true,
			means:   "an attempt failed and can't be taken back, or mustn't be without a person, or its commit failed. The agent touches nothing; a person decides",
			cluster: "between two revisions",
		},
		{
			state: Uninstalling, work: []Action{RemoveAll},
			means:   "the Module was deleted: removes the objects in reverse order. What hangs is named in the conditions",
			cluster: "what is left",
		},
		{
			state: Gone, resting: true,
			means:   "the Module isn't there any more",
			cluster: "nothing, but for definitions of kinds that should be kept",
		},
	}
}

// States lists all states, in the order in which people meet them.
func States() []State {
	var all []State
	for _, p := range placed {
		all = append(all, p.state)
	}
	return all
}

// Work returns what is done in a state, in this order; nothing in resting states. All of it may be done twice: after a restart it is
// done from the beginning. When it is finished, that is a [Done] (or, of a plan, its outcome).
func Work(state State) []Action {
	return slices.Clone(placeOf(state).work)
}

// Resting says whether nothing is due in a state before something changes.
func Resting(state State) bool { return placeOf(state).resting }

// placeOf returns the zero place for what is no state.
func placeOf(state State) place {
	for _, p := range placed {
		if p.state == state {
			return p
		}
	}
	return place{}
}
