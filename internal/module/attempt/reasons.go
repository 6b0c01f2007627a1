package attempt

// Reasons of conditions, failures and events, beside the names of the phases. docs/modules.md lists them.
const (
	// reasonDeadline: the attempt, its commit or its rollback wasn't finished in time.
	reasonDeadline = "DeadlinePassed"
	// reasonAsked: a person asked for a rollback.
	reasonAsked = "RollbackAsked"
	// reasonDegraded: an object has failed.
	reasonDegraded = "Degraded"
	// reasonRefused: the API server refuses an object.
	reasonRefused = "Refused"
	// reasonStorage: a revision can't be stored, or can't be read any more.
	reasonStorage = "RevisionLost"
	// reasonDefinition: a definition can't be changed, or can't be changed back.
	reasonDefinition = "DefinitionFailed"
	reasonUnhealthy  = ReasonUnhealthy
	// reasonDrifted: objects differ from what is installed, and are left so.
	reasonDrifted = "Drifted"
	// reasonCorrected: objects were put back.
	reasonCorrected = "DriftCorrected"
	// reasonApproval: a plan waits for a person.
	reasonApproval = "ApprovalNeeded"
	// reasonSource: somebody didn't answer who has to be asked for a plan.
	reasonSource = "SourceUnavailable"
	// reasonNoRollback: a rollback that was asked for can't be done.
	reasonNoRollback = "RollbackRefused"
	// reasonHangs: a deletion doesn't come to its end.
	reasonHangs = "DeletionHangs"
	// reasonKept: something was left in the cluster by an uninstallation.
	reasonKept = "Kept"
	// reasonUninstalled: nothing is left of the module.
	reasonUninstalled = "Uninstalled"
)

// ReasonUnhealthy is the reason of a Ready condition of a module whose installed objects aren't healthy.
const ReasonUnhealthy = "Unhealthy"
