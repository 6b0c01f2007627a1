package lifecycle

// Action is something to do. Each may be done twice.
//
// Some are marks: they are about the status, and are written with the new state in one write, before any work of that state begins. So
// whoever reads the status after a crash finds either all of a transition or nothing of it.
type Action string

// Mark says whether the action is written into the status together with the new state.
func (a Action) Mark() bool {
	switch a {
	case BeginAttempt, StartDeadline, BeginCommit, MakeCurrent, RejectDigest, ReleaseDigest, ForgetAttempt, Report:
		return true
	}
	return false
}

// Before the commit.
const (
	// MakePlan makes a plan, and writes nothing but its gist into the status. Its outcome is one of the Plan events.
	MakePlan Action = "MakePlan"
	// StoreRevision writes the ModuleRevision and the Secrets with its content.
	StoreRevision Action = "StoreRevision"
	// BeginAttempt writes status.attempt. One that was there goes into the new one's over and overCommitted.
	BeginAttempt Action = "BeginAttempt"
	// StartDeadline sets status.attempt.deadline anew, for what comes now.
	StartDeadline Action = "StartDeadline"
	// WidenRoles gives roles what the new revision needs, beside what the old one has.
	WidenRoles Action = "WidenRoles"
	// ServeNewVersions adds to definitions what the new revision has; objects are stored as before.
	ServeNewVersions Action = "ServeNewVersions"
	// ApplyObjects applies the rest.
	ApplyObjects Action = "ApplyObjects"
	// WatchGate waits until everything was healthy, and every check held, for the length of the soak.
	WatchGate Action = "WatchGate"
)

// The commit.
const (
	// BeginCommit writes status.attempt.commitBegan: there is no way back from here.
	BeginCommit Action = "BeginCommit"
	// FlipStorage has definitions store the new version.
	FlipStorage Action = "FlipStorage"
	// MigrateObjects writes objects of those kinds again, in the new version, and removes the old one from the definition's storedVersions.
	MigrateObjects Action = "MigrateObjects"
	// PruneOld deletes what the new revision doesn't have any more.
	PruneOld Action = "PruneOld"
	// NarrowRoles takes from roles what the new revision doesn't need.
	NarrowRoles Action = "NarrowRoles"
	// MakeCurrent makes the revision the current one and archives the one before it.
	MakeCurrent Action = "MakeCurrent"
)

// The way back.
const (
	// RejectDigest puts the target's digest into status.rejected, with the reason.
	RejectDigest Action = "RejectDigest"
	// ReleaseDigest takes it out again.
	ReleaseDigest Action = "ReleaseDigest"
	// RestoreDefinitions puts definitions back as they were.
	RestoreDefinitions Action = "RestoreDefinitions"
	// ReapplyOld removes what intercepts requests and is new, and applies the current revision: what intercepts requests first, so that nobody
	// stands in the way, then what workloads need, then the workloads. Roles still allow what the new revision needs.
	ReapplyOld Action = "ReapplyOld"
	// ProveOld waits until it is healthy.
	ProveOld Action = "ProveOld"
	// RemoveNew deletes what only the new revision has.
	RemoveNew Action = "RemoveNew"
	// RestoreRoles takes from roles what only the new revision needs.
	RestoreRoles Action = "RestoreRoles"
	// ForgetAttempt removes status.attempt: it is settled.
	ForgetAttempt Action = "ForgetAttempt"
)

// At any time.
const (
	// CorrectDrift applies the current revision again, where objects differ from it.
	CorrectDrift Action = "CorrectDrift"
	// Report says in a condition and an event what has happened and what to do.
	Report Action = "Report"
	// RemoveAll deletes the objects of all revisions, last step first.
	RemoveAll Action = "RemoveAll"
	// RemoveFinalizer lets the Module go.
	RemoveFinalizer Action = "RemoveFinalizer"
)
