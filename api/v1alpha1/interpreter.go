package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InterpreterKind is the kind of an Interpreter.
const InterpreterKind = "Interpreter"

// Interpreter teaches the agent a kind of objects: when one is healthy, how many replicas it has, what it needs. All expressions are CEL
// with the object as self.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=slipway
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.target.group`
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.target.kind`
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Interpreter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   InterpreterSpec   `json:"spec"`
	Status InterpreterStatus `json:"status,omitempty"`
}

// InterpreterSpec is what is taught.
//
// +kubebuilder:validation:XValidation:rule="has(self.health) || has(self.replicas) || has(self.drained) || has(self.dependencies) || has(self.version)",message="an interpreter teaches something: health, replicas, drained, dependencies or version"
type InterpreterSpec struct {
	// Target is the kind that is taught.
	Target InterpreterTarget `json:"target"`

	// Priority decides where several interpreters teach the same of a kind: the highest wins, and of equal ones that whose name comes first.
	// Those that come with Slipway have 0, those of packages 100; a platform's own should be above. Default: 1000.
	//
	// +optional
	// +kubebuilder:default=1000
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Priority *int32 `json:"priority,omitempty"`

	// Health rules are asked in this order; the first whose when is true decides. If none is, the object is Unknown. An object that is being
	// deleted, or whose status.observedGeneration is behind, is Progressing before any rule is asked. Default: not taught.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Health []HealthRule `json:"health,omitempty"`

	// Replicas gives {"desired": int, "ready": int}, or the desired ones alone, as a number. Default: not taught.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Replicas string `json:"replicas,omitempty"`

	// Drained gives true when the object can be replaced without anybody's loss: no job runs, no connection is open. Default: not taught.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Drained string `json:"drained,omitempty"`

	// Dependencies gives a list of {"apiVersion", "kind", "name", "namespace"}: the objects that this one can't be healthy without. Without a
	// namespace it is the object's own. Default: not taught.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Dependencies string `json:"dependencies,omitempty"`

	// Version gives the version of what the object runs, as text. Default: not taught.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Version string `json:"version,omitempty"`

	// Tests are objects with what the expressions must say of them. One that fails makes the whole Interpreter invalid: none of it is used.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=map
	// +listMapKey=name
	Tests []InterpreterTest `json:"tests,omitempty"`
}

// InterpreterTarget is the kind that is taught.
type InterpreterTarget struct {
	// Group of the kind; empty for the core group.
	//
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group"`

	// Kind, as in a manifest.
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// Versions of the API that the expressions are written for, such as v1alpha1. Default: all.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	Versions []string `json:"versions,omitempty"`
}

// HealthRule is one verdict and when it is given.
type HealthRule struct {
	// State of the object if the rule fits.
	State HealthState `json:"state"`

	// When is an expression that gives true or false. One that can't be evaluated makes the object Unknown. Default: always.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	When string `json:"when,omitempty"`

	// Reason is one CamelCase word: either the word itself, or an expression after "=", as in "=self.status.reason". Default: the state.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	// +kubebuilder:validation:Pattern=`^(=[\s\S]+|[A-Z][A-Za-z0-9]*)$`
	Reason string `json:"reason,omitempty"`

	// Message is an expression that gives text for people. Default: none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Message string `json:"message,omitempty"`
}

// HealthState is a verdict: see docs/health.md.
//
// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;Unknown
type HealthState string

const (
	HealthHealthy     HealthState = "Healthy"
	HealthProgressing HealthState = "Progressing"
	HealthDegraded    HealthState = "Degraded"
	HealthUnknown     HealthState = "Unknown"
)

// InterpreterTest is an object with what must be said of it.
type InterpreterTest struct {
	// Name of the test, for messages.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`

	// Object to judge, of the target's kind.
	//
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Object apiextensionsv1.JSON `json:"object"`

	// Want is what must be said. What isn't named isn't asked.
	Want InterpreterVerdict `json:"want"`
}

// InterpreterVerdict is what the expressions must give.
//
// +kubebuilder:validation:MinProperties=1
type InterpreterVerdict struct {
	// Health is the state.
	//
	// +optional
	Health HealthState `json:"health,omitempty"`

	// Reason of the health.
	//
	// +optional
	Reason string `json:"reason,omitempty"`

	// Message of the health.
	//
	// +optional
	Message string `json:"message,omitempty"`

	// Replicas that are desired and ready.
	//
	// +optional
	Replicas *ReplicaCounts `json:"replicas,omitempty"`

	// Drained is true or false.
	//
	// +optional
	Drained *bool `json:"drained,omitempty"`

	// Dependencies in any order.
	//
	// +optional
	// +listType=atomic
	Dependencies []ObjectReference `json:"dependencies,omitempty"`

	// Version as text.
	//
	// +optional
	Version string `json:"version,omitempty"`
}

// ReplicaCounts is how many replicas there should be, and how many are ready.
type ReplicaCounts struct {
	// Desired replicas.
	Desired int64 `json:"desired"`
	// Ready replicas. Default: the expression must not say how many are.
	//
	// +optional
	Ready *int64 `json:"ready,omitempty"`
}

// ObjectReference names an object.
type ObjectReference struct {
	// APIVersion such as apps/v1.
	APIVersion string `json:"apiVersion"`
	// Kind as in a manifest.
	Kind string `json:"kind"`
	// Name of the object.
	Name string `json:"name"`
	// Namespace of the object. Default: that of the object that names it.
	//
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// InterpreterStatus says whether it is in use.
type InterpreterStatus struct {
	// ObservedGeneration is the generation that the conditions are about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready is True while the interpreter is in use; Stalled says which expression or test is wrong.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// GetConditions returns the conditions, for code that works on any kind.
func (i *Interpreter) GetConditions() []metav1.Condition { return i.Status.Conditions }

// SetConditions replaces the conditions.
func (i *Interpreter) SetConditions(conditions []metav1.Condition) { i.Status.Conditions = conditions }

// InterpreterList is a list of Interpreters.
//
// +kubebuilder:object:root=true
type InterpreterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Interpreter `json:"items"`
}
