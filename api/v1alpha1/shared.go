package v1alpha1

// Types of conditions, as kstatus reads them: an object is current when it is Ready, in progress while it is Reconciling, and failed
// when it is Stalled. Reconciling and Stalled are there only while they are true.
const (
	// ReadyCondition says whether what is wanted is there, healthy and committed.
	ReadyCondition = "Ready"
	// ReconcilingCondition says that the agent is at work, or will go on by itself.
	ReconcilingCondition = "Reconciling"
	// StalledCondition says that a person has to do something first.
	StalledCondition = "Stalled"
)

// Annotations with which a person answers a Module. Each names the digest that it is for, and counts for no other.
const (
	// ApproveAnnotation lets the plan with this target digest be carried out, if the policy is Manual or if it can't be taken back.
	ApproveAnnotation = "slipway.dev/approve"
	// RetryAnnotation takes the digest off the list of the rejected.
	RetryAnnotation = "slipway.dev/retry"
	// RollbackAnnotation ends an attempt for this target digest that isn't committed yet.
	RollbackAnnotation = "slipway.dev/rollback"
	// ForceAnnotation, beside RollbackAnnotation and with the same digest, does so although the plan says that it can't be taken back.
	ForceAnnotation = "slipway.dev/force"
)

// Digest is the SHA-256 of something, as "sha256:" and 64 hexadecimal digits.
//
// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
type Digest string

// SecretReference names a Secret in the agent's namespace.
type SecretReference struct {
	// Name of the Secret.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
