package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AgentUpgradeKind is the kind of an AgentUpgrade.
const AgentUpgradeKind = "AgentUpgrade"

// AgentUpgrade is one attempt of the agent to replace itself, in the agent's namespace. Both the old and the new agent read it, and it is all
// that either needs to go on after a restart. The agent writes it; people read it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,categories=slipway
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.from.version`
// +kubebuilder:printcolumn:name="To",type=string,JSONPath=`.spec.to.version`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Holder",type=string,JSONPath=`.status.holder`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type AgentUpgrade struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AgentUpgradeSpec   `json:"spec"`
	Status AgentUpgradeStatus `json:"status,omitempty"`
}

// AgentUpgradeSpec never changes.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an attempt can't be changed: delete it to take it back, and another one may follow"
// +kubebuilder:validation:XValidation:rule="self.from.slot != self.to.slot || self.mode == 'Advise'",message="the new agent runs in the other slot than the old one"
type AgentUpgradeSpec struct {
	// Mode says how. Slots: the new agent starts beside the old one, which takes over again if it fails. Recreate: the old one ends before the
	// new one starts, for clusters without room for two; a small guard brings it back if the new one fails. Advise: not at all, as somebody else
	// (Helm, Flux, Argo CD) owns the agent; the attempt says only what should be done. Default: Slots.
	//
	// +optional
	// +kubebuilder:default=Slots
	Mode AgentUpgradeMode `json:"mode,omitempty"`

	// From is the agent that runs, and that takes over if the new one fails.
	From AgentBuild `json:"from"`

	// To is the agent that should run.
	To AgentBuild `json:"to"`

	// ProbeTimeout is how long a pod of the new image may take to prove that it could work here. From 10s to 1h. Default: 2m.
	//
	// +optional
	// +kubebuilder:default="2m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('1h')",message="probeTimeout is from 10s to 1h"
	ProbeTimeout *metav1.Duration `json:"probeTimeout,omitempty"`

	// ProveFor is how long the new agent has to prove itself after it has taken over. From 10s to 24h. Default: 10m.
	//
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="proveFor is from 10s to 24h"
	ProveFor *metav1.Duration `json:"proveFor,omitempty"`
}

// AgentUpgradeMode says how an agent is replaced.
//
// +kubebuilder:validation:Enum=Slots;Recreate;Advise
type AgentUpgradeMode string

const (
	AgentUpgradeSlots    AgentUpgradeMode = "Slots"
	AgentUpgradeRecreate AgentUpgradeMode = "Recreate"
	AgentUpgradeAdvise   AgentUpgradeMode = "Advise"
)

// AgentBuild is an agent, bound to its bytes.
type AgentBuild struct {
	// Version of the agent.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version"`

	// Image with its digest, as NAME@sha256:….
	//
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[^@\s]+@sha256:[0-9a-f]{64}$`
	Image string `json:"image"`

	// Slot that it runs in.
	Slot AgentSlot `json:"slot"`

	// Revision is the name of the ModuleRevision with its objects. None: it was installed by other means.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`
}

// AgentSlot is one of the two places for an agent.
//
// +kubebuilder:validation:Enum=a;b
type AgentSlot string

const (
	SlotA AgentSlot = "a"
	SlotB AgentSlot = "b"
)

// AgentUpgradePhase is how far the attempt is.
//
// +kubebuilder:validation:Enum=Pending;Probing;Starting;HandingOver;Proving;TakingBack;Committing;Committed;TakenBack;Refused;Advised
type AgentUpgradePhase string

const (
	// AgentUpgradePending hasn't begun.
	AgentUpgradePending AgentUpgradePhase = "Pending"
	// AgentUpgradeProbing is when a pod of the new image tries whether it could work here. The running agent isn't touched.
	AgentUpgradeProbing AgentUpgradePhase = "Probing"
	// AgentUpgradeStarting is when the new agent starts beside the old one, and reconciles nothing.
	AgentUpgradeStarting AgentUpgradePhase = "Starting"
	// AgentUpgradeHandingOver is when the lease goes to the new agent.
	AgentUpgradeHandingOver AgentUpgradePhase = "HandingOver"
	// AgentUpgradeProving is when the new agent does the work, and the old one watches it.
	AgentUpgradeProving AgentUpgradePhase = "Proving"
	// AgentUpgradeTakingBack is when the old agent takes the lease again, if it was given away, and removes what the attempt has made.
	AgentUpgradeTakingBack AgentUpgradePhase = "TakingBack"
	// AgentUpgradeCommitting is when the new agent has proved itself and scales the old one down.
	AgentUpgradeCommitting AgentUpgradePhase = "Committing"
	// AgentUpgradeCommitted is the good end: the new agent runs alone.
	AgentUpgradeCommitted AgentUpgradePhase = "Committed"
	// AgentUpgradeTakenBack is the other end: the old agent runs alone.
	AgentUpgradeTakenBack AgentUpgradePhase = "TakenBack"
	// AgentUpgradeRefused ended before the new agent was started.
	AgentUpgradeRefused AgentUpgradePhase = "Refused"
	// AgentUpgradeAdvised is the end where somebody else owns the agent.
	AgentUpgradeAdvised AgentUpgradePhase = "Advised"
)

// Ended tells whether nothing of an attempt is under way any more.
func (p AgentUpgradePhase) Ended() bool {
	switch p {
	case AgentUpgradeCommitted, AgentUpgradeTakenBack, AgentUpgradeRefused, AgentUpgradeAdvised:
		return true
	}
	return false
}

// AgentUpgradeStatus is how far the attempt is.
type AgentUpgradeStatus struct {
	// ObservedGeneration is the generation that the conditions are about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready is True once the new agent is committed; Stalled once the attempt has ended otherwise; Reconciling until then.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Phase is how far it is.
	//
	// +optional
	Phase AgentUpgradePhase `json:"phase,omitempty"`

	// PhaseSince is when it came there.
	//
	// +optional
	PhaseSince *metav1.Time `json:"phaseSince,omitempty"`

	// Deadline is when the phase has failed if it isn't finished.
	//
	// +optional
	Deadline *metav1.Time `json:"deadline,omitempty"`

	// Holder is the slot that holds the lease, and so does the work.
	//
	// +optional
	Holder AgentSlot `json:"holder,omitempty"`

	// Term of the lease. It grows by one with each hand-over; whoever holds a lower one does nothing.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Term int64 `json:"term,omitempty"`

	// Probe is what the pod of the new image found.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	Probe []AgentCheck `json:"probe,omitempty"`

	// Proof is what the new agent has shown since it took over.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	Proof []AgentCheck `json:"proof,omitempty"`

	// Failure is why the attempt was refused or taken back.
	//
	// +optional
	Failure *Failure `json:"failure,omitempty"`
}

// AgentCheck is one thing that an agent has shown, or has not.
type AgentCheck struct {
	// Name of the check: Started, Permissions, Definitions, Delivery, Modules, Hub.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Passed says whether it held.
	Passed bool `json:"passed"`

	// Message says what was found.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// At is when.
	At metav1.Time `json:"at"`
}

// GetConditions returns the conditions, for code that works on any kind.
func (u *AgentUpgrade) GetConditions() []metav1.Condition { return u.Status.Conditions }

// SetConditions replaces the conditions.
func (u *AgentUpgrade) SetConditions(conditions []metav1.Condition) { u.Status.Conditions = conditions }

// AgentUpgradeList is a list of AgentUpgrades.
//
// +kubebuilder:object:root=true
type AgentUpgradeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []AgentUpgrade `json:"items"`
}
