package protocol

// Action is something to do. Each may be done twice.
//
// Some are marks: they are about the status, and are written with the new state in one write, before any work of that state begins.
type Action string

// Mark says whether the action is written into the status together with the new state.
func (a Action) Mark() bool {
	switch a {
	case StartDeadline, RecordProbe, RecordHolder, RecordFailure, ForgetFailure, Report, RemoveFinalizer:
		return true
	}
	return false
}

// Marks.
const (
	// StartDeadline sets status.deadline anew, for what comes now.
	StartDeadline Action = "StartDeadline"
	// RecordProbe writes what the probe has found into status.probe.
	RecordProbe Action = "RecordProbe"
	// RecordHolder writes the slot and the term of the lease into the status.
	RecordHolder Action = "RecordHolder"
	// RecordFailure writes status.failure.
	RecordFailure Action = "RecordFailure"
	// ForgetFailure takes it out again: the new agent goes on.
	ForgetFailure Action = "ForgetFailure"
	// Report says in a condition and an event what has happened and what to do.
	Report Action = "Report"
	// RemoveFinalizer lets the AgentUpgrade go.
	RemoveFinalizer Action = "RemoveFinalizer"
)

// Work.
const (
	// RunProbe runs a pod of the new image that tries whether it could work here, and reads what it found.
	RunProbe Action = "RunProbe"
	// StartGuard starts a small pod of the old image, which can take back when no old agent runs any more.
	StartGuard Action = "StartGuard"
	// StopOld scales the old slot to nothing, to make room. Its template stays.
	StopOld Action = "StopOld"
	// StartNew starts the new slot, and waits until all of it is ready. It holds no lease and does no work.
	StartNew Action = "StartNew"
	// GiveLease gives the lease to the new slot, in the next term.
	GiveLease Action = "GiveLease"
	// Prove shows that the new agent works.
	Prove Action = "Prove"
	// RetireOld scales the old slot to nothing. Its template stays until the next attempt.
	RetireOld Action = "RetireOld"
	// TakeLease gives the lease to the old slot, in the next term.
	TakeLease Action = "TakeLease"
	// RestoreOld scales the old slot to what it had.
	RestoreOld Action = "RestoreOld"
	// AwaitOld waits until an agent of the old slot holds the lease.
	AwaitOld Action = "AwaitOld"
	// RemoveNew deletes the new slot.
	RemoveNew Action = "RemoveNew"
	// TidyUp deletes the probe and the guard.
	TidyUp Action = "TidyUp"
)
