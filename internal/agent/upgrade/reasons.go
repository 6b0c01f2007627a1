package upgrade

import (
	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

// reason is why an attempt failed, as failure.reason says it. Where the work hasn't found a reason, it is the event that ended it.
type reason string

const (
	// What keeps an attempt from beginning.
	switchedOff reason = "SwitchedOff"
	noElection  reason = "NoElection"
	notWhatRuns reason = "NotWhatRuns"
	rejected    reason = "Rejected"
	// What the cluster doesn't admit, or lacks.
	probeRefused reason = "ProbeRefused"
	oldMissing   reason = "OldMissing"
	// What a person wants.
	deleted       = reason(protocol.Deleted)
	rollbackAsked = reason(protocol.RollbackAsked)
	// What the image is blamed for.
	probeFailed    reason = "ProbeFailed"
	crashes        reason = "Crashes"
	deadlinePassed        = reason(protocol.DeadlinePassed)
)

// blamesImage says whether a failure says something about the image, which then isn't tried again by itself, and not about the moment. A
// reason that an agent of another version had counts against it.
func (r reason) blamesImage() bool {
	switch r {
	case switchedOff, noElection, notWhatRuns, rejected, probeRefused, oldMissing, deleted, rollbackAsked:
		return false
	default:
		return true
	}
}

// rejects says whether an attempt that ended without a new agent says something about its image.
func rejects(u *v1alpha1.AgentUpgrade) bool {
	ended := u.Status.Phase == protocol.TakenBack || u.Status.Phase == protocol.Refused
	return ended && u.Status.Failure != nil && reason(u.Status.Failure.Reason).blamesImage()
}
