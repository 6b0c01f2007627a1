package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ModulePhase is where a Module is on its way. What leads from one to the next is a table: see docs/modules.md.
//
// +kubebuilder:validation:Enum=Pending;Planning;Blocked;Planned;Preparing;Applying;Soaking;Committing;Installed;RollingBack;RolledBack;Frozen;Uninstalling
type ModulePhase string

const (
	// PhasePending is a module of which nothing is in the cluster, and nothing can be planned yet. A Module without a phase is Pending.
	PhasePending ModulePhase = "Pending"
	// PhasePlanning is when the agent finds out what an attempt would do. It writes nothing.
	PhasePlanning ModulePhase = "Planning"
	// PhaseBlocked is a module whose plan has problems. Nothing was written.
	PhaseBlocked ModulePhase = "Blocked"
	// PhasePlanned is a module whose plan is good and waits: for an approval, a window, an age, other modules. Nothing was written.
	PhasePlanned ModulePhase = "Planned"
	// PhasePreparing is when the new revision is stored. Nothing that runs is touched.
	PhasePreparing ModulePhase = "Preparing"
	// PhaseApplying is when the new revision's objects are written; none is deleted.
	PhaseApplying ModulePhase = "Applying"
	// PhaseSoaking is when everything is written and has to stay healthy for a while.
	PhaseSoaking ModulePhase = "Soaking"
	// PhaseCommitting is when the old revision is let go. There is no way back from here.
	PhaseCommitting ModulePhase = "Committing"
	// PhaseInstalled is a module that is as it should be.
	PhaseInstalled ModulePhase = "Installed"
	// PhaseRollingBack is when an attempt that isn't committed is taken back.
	PhaseRollingBack ModulePhase = "RollingBack"
	// PhaseRolledBack is a module whose wanted revision failed: the one before it is there, or nothing, if there was none.
	PhaseRolledBack ModulePhase = "RolledBack"
	// PhaseFrozen is a module between two revisions, which only a person may lead out of it. The agent touches nothing.
	PhaseFrozen ModulePhase = "Frozen"
	// PhaseUninstalling is when the objects are deleted, as the Module is.
	PhaseUninstalling ModulePhase = "Uninstalling"
)

// ModuleStatus is how things are. It holds all that the agent needs to go on after a restart; what is large (plans, rendered objects)
// is in the ModuleRevisions that it names.
type ModuleStatus struct {
	// ObservedGeneration is the generation of the spec that the last plan was made for, or that was found to want nothing new.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Ready, Reconciling and Stalled.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Phase is where the module is on its way.
	//
	// +optional
	Phase ModulePhase `json:"phase,omitempty"`

	// PhaseSince is when it came there.
	//
	// +optional
	PhaseSince *metav1.Time `json:"phaseSince,omitempty"`

	// Current is the revision that is committed. None: nothing is installed.
	//
	// +optional
	Current *RevisionReference `json:"current,omitempty"`

	// Target is what the last plan leads to. None: nothing else is wanted than what is installed.
	//
	// +optional
	Target *RevisionReference `json:"target,omitempty"`

	// Plan is the gist of the last plan.
	//
	// +optional
	Plan *PlanSummary `json:"plan,omitempty"`

	// Attempt is what was begun and is neither committed nor taken back. It is written before the first write of the attempt.
	//
	// +optional
	Attempt *Attempt `json:"attempt,omitempty"`

	// Rejected are the digests that failed, the latest first. None of them is tried again by itself.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=digest
	Rejected []Rejection `json:"rejected,omitempty"`

	// LastHandledReconcileAt is the value of the annotation reconcile.fluxcd.io/requestedAt that was answered last.
	//
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// RevisionReference names a revision.
type RevisionReference struct {
	// Version of the package.
	Version string `json:"version"`

	// Digest of everything that is applied: the package with these values, in this namespace. It is what annotations and rejections name.
	Digest Digest `json:"digest"`

	// Revision is the name of the ModuleRevision; of an attempt of the module agent, the name of its AgentUpgrade. Empty as long as there is
	// only a plan.
	//
	// +optional
	Revision string `json:"revision,omitempty"`

	// Package is the name that the package gives itself.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Package string `json:"package,omitempty"`

	// Requires is what the package requires, by the names of packages or modules. spec.dependsOn isn't in it.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Requires []ModuleDependency `json:"requires,omitempty"`
}

// PlanSummary is what a person wants to know of a plan at first. The whole plan is in a Secret.
type PlanSummary struct {
	// Digest of the target that the plan is for.
	//
	// +optional
	Digest Digest `json:"digest,omitempty"`

	// Inputs is the digest of all that decided what is rendered: version and digest of the package, values, images, namespace, grant. While it
	// stays, what is wanted does. Empty: not known.
	//
	// +optional
	Inputs Digest `json:"inputs,omitempty"`

	// At is when it was made.
	At metav1.Time `json:"at"`

	// Content is where the whole plan is, as JSON.
	//
	// +optional
	Content *ContentReference `json:"content,omitempty"`

	// Reversible says that the attempt can be taken back until it is committed.
	//
	// +optional
	Reversible bool `json:"reversible,omitempty"`

	// Irreversible says why it can't be, if it can't.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Irreversible []string `json:"irreversible,omitempty"`

	// Objects counts what would be written.
	//
	// +optional
	Objects ObjectCounts `json:"objects,omitempty"`

	// AddedPermissions are those that the current revision hasn't, as "get,list secrets in group \"\" (namespace runners)". At most 16; the
	// plan has them all.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	AddedPermissions []string `json:"addedPermissions,omitempty"`

	// Problems are what must be solved before anything is written. At most 16; the plan has them all.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Problems []PlanProblem `json:"problems,omitempty"`

	// ProblemCount is how many there are.
	//
	// +optional
	ProblemCount int32 `json:"problemCount,omitempty"`

	// WaitsFor says what a plan without problems waits for: an approval, a window, an age, another module.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	WaitsFor []string `json:"waitsFor,omitempty"`

	// NextAttempt is when the agent looks again by itself. None: when something changes.
	//
	// +optional
	NextAttempt *metav1.Time `json:"nextAttempt,omitempty"`
}

// ObjectCounts counts the objects of a plan.
type ObjectCounts struct {
	// Create: aren't there yet.
	//
	// +optional
	Create int32 `json:"create,omitempty"`
	// Update: are there, and differ.
	//
	// +optional
	Update int32 `json:"update,omitempty"`
	// Delete: are deleted by the commit.
	//
	// +optional
	Delete int32 `json:"delete,omitempty"`
	// Unchanged: are as they should be.
	//
	// +optional
	Unchanged int32 `json:"unchanged,omitempty"`
}

// PlanProblem is something that forbids to begin.
type PlanProblem struct {
	// Check that found it: Resolve, Verify, Render, Definitions, Permissions, DryRun, Owners, Images, Dependants or Baseline.
	Check string `json:"check"`

	// Object that it is about, as KIND/NAMESPACE/NAME. None: the whole package.
	//
	// +optional
	Object string `json:"object,omitempty"`

	// Message says what is wrong and what to do.
	//
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message"`
}

// Attempt is what was begun and isn't settled.
type Attempt struct {
	// Target that it leads to.
	Target RevisionReference `json:"target"`

	// Over are names of ModuleRevisions between the current one and the target: attempts that were frozen, and that this one goes over.
	// Their objects are pruned when this one is committed.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Over []string `json:"over,omitempty"`

	// OverCommitted says that the commit of one of them has begun: then there is no way back from this one either.
	//
	// +optional
	OverCommitted bool `json:"overCommitted,omitempty"`

	// Generation of the spec that it was begun for. A later one is a person's word that leads out of Frozen.
	//
	// +optional
	Generation int64 `json:"generation,omitempty"`

	// Began is when the first write was about to be made.
	Began metav1.Time `json:"began"`

	// Deadline is when what is being done (apply and soak, commit, rollback) has failed if it isn't finished.
	Deadline metav1.Time `json:"deadline"`

	// Step is the part of the revision that is being applied or taken back.
	//
	// +optional
	Step RevisionStep `json:"step,omitempty"`

	// SoakBegan is when everything was first seen healthy, without a break since.
	//
	// +optional
	SoakBegan *metav1.Time `json:"soakBegan,omitempty"`

	// CommitBegan is when the commit began. From then on there is no way back.
	//
	// +optional
	CommitBegan *metav1.Time `json:"commitBegan,omitempty"`

	// Failure is why it failed, if it has.
	//
	// +optional
	Failure *Failure `json:"failure,omitempty"`
}

// Failure says why an attempt failed.
type Failure struct {
	// Reason in one CamelCase word, as in conditions.
	//
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason"`

	// Message for people, with the object that is to blame.
	//
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message"`

	// At is when it was seen.
	At metav1.Time `json:"at"`
}

// Rejection is a digest that failed. It counts as long as the spec is of the same generation and nobody asks for another try.
type Rejection struct {
	Failure `json:",inline"`

	// Digest that failed.
	Digest Digest `json:"digest"`

	// Version of the package.
	Version string `json:"version"`

	// Generation of the spec that it failed for.
	//
	// +optional
	Generation int64 `json:"generation,omitempty"`
}
