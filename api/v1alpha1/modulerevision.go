package v1alpha1

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ModuleRevisionKind is the kind of a ModuleRevision.
const ModuleRevisionKind = "ModuleRevision"

// ModuleRevision is what a Module was, is, or was about to be: one package, rendered, with the plan that led to it. The agent writes it;
// people read it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=slipway
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Module",type=string,JSONPath=`.spec.module`
// +kubebuilder:printcolumn:name="Number",type=integer,JSONPath=`.spec.number`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Digest",type=string,priority=1,JSONPath=`.spec.digest`
type ModuleRevision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ModuleRevisionSpec   `json:"spec"`
	Status ModuleRevisionStatus `json:"status,omitempty"`
}

// ModuleRevisionSpec never changes.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a revision can't be changed: change the Module, and the agent makes another one"
type ModuleRevisionSpec struct {
	// Module that it is a revision of.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Module string `json:"module"`

	// Number counts the revisions of the module from 1.
	//
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number"`

	// Version of the package.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version"`

	// Digest of everything that is applied: of the contents of the steps, in their order.
	Digest Digest `json:"digest"`

	// Package that it was rendered from.
	Package ResolvedPackage `json:"package"`

	// Previous is the name of the revision that was current when this one was made. None: nothing was installed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Previous string `json:"previous,omitempty"`

	// Namespace for the objects that have one and didn't say which.
	//
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// Steps are the parts that are applied one after the other; an uninstallation goes the other way.
	//
	// +kubebuilder:validation:MaxItems=6
	// +listType=map
	// +listMapKey=name
	Steps []StepContent `json:"steps"`

	// Before is how the objects were that the plan found in the cluster and that aren't a revision's: definitions of kinds, adopted objects.
	// A rollback puts them back.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Before []ContentReference `json:"before,omitempty"`

	// Plan that led to it, as JSON.
	Plan ContentReference `json:"plan"`

	// Reversible says that the attempt can be taken back until it is committed.
	Reversible bool `json:"reversible"`

	// Permissions that the package asks for.
	//
	// +optional
	Permissions Permissions `json:"permissions,omitempty"`

	// Gate that it has to pass: the Module's, the package's and the defaults in one.
	//
	// +optional
	Gate Gate `json:"gate,omitempty"`
}

// ResolvedPackage is one package, bound to its bytes.
type ResolvedPackage struct {
	// Name that the package gives itself.
	//
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// URL that it was taken from.
	//
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// Digest of the package.
	Digest Digest `json:"digest"`

	// SignedBy says whose signature was verified. None: none was asked for.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SignedBy string `json:"signedBy,omitempty"`
}

// RevisionStep is a part of a revision. They are applied in this order.
//
// +kubebuilder:validation:Enum=namespaces;definitions;roles;configuration;workloads;webhooks
type RevisionStep string

const (
	StepNamespaces    RevisionStep = "namespaces"
	StepDefinitions   RevisionStep = "definitions"
	StepRoles         RevisionStep = "roles"
	StepConfiguration RevisionStep = "configuration"
	StepWorkloads     RevisionStep = "workloads"
	StepWebhooks      RevisionStep = "webhooks"
)

// StepContent is what is applied in one step.
type StepContent struct {
	// Name of the step.
	Name RevisionStep `json:"name"`

	// Objects is how many there are.
	//
	// +kubebuilder:validation:Minimum=0
	Objects int32 `json:"objects"`

	// Content is where they are, each as a list of objects in JSON. More than one where they don't fit into a Secret.
	//
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Content []ContentReference `json:"content"`
}

// ContentReference names an immutable Secret in the agent's namespace by what is in it: the same content is stored once. The content is
// under the key "content", compressed with gzip.
type ContentReference struct {
	// Secret is its name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Secret string `json:"secret"`

	// Digest of the content before compression.
	Digest Digest `json:"digest"`

	// Bytes of the content before compression.
	//
	// +kubebuilder:validation:Minimum=0
	Bytes int64 `json:"bytes"`
}

// Permissions are rights: some in the whole cluster, some in namespaces.
type Permissions struct {
	// ClusterRules hold in the whole cluster.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	ClusterRules []rbacv1.PolicyRule `json:"clusterRules,omitempty"`

	// NamespaceRules hold in one namespace each.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	NamespaceRules []NamespaceRules `json:"namespaceRules,omitempty"`
}

// NamespaceRules are rights in one namespace.
type NamespaceRules struct {
	// Namespace in which they hold.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// Rules that hold there.
	//
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	Rules []rbacv1.PolicyRule `json:"rules"`
}

// RevisionState says what became of a revision.
//
// +kubebuilder:validation:Enum=Candidate;Current;Archived;Rejected
type RevisionState string

const (
	// RevisionCandidate is on its way: its attempt isn't settled.
	RevisionCandidate RevisionState = "Candidate"
	// RevisionCurrent is committed.
	RevisionCurrent RevisionState = "Current"
	// RevisionArchived was current.
	RevisionArchived RevisionState = "Archived"
	// RevisionRejected failed.
	RevisionRejected RevisionState = "Rejected"
)

// ModuleRevisionStatus is what became of it.
type ModuleRevisionStatus struct {
	// ObservedGeneration is the generation that the conditions are about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready is True once the revision was committed; Stalled once it is rejected.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// State in one word.
	//
	// +optional
	State RevisionState `json:"state,omitempty"`

	// CommittedAt is when it became current.
	//
	// +optional
	CommittedAt *metav1.Time `json:"committedAt,omitempty"`

	// ArchivedAt is when another one took its place.
	//
	// +optional
	ArchivedAt *metav1.Time `json:"archivedAt,omitempty"`

	// Failure is why it was rejected.
	//
	// +optional
	Failure *Failure `json:"failure,omitempty"`
}

// GetConditions returns the conditions, for code that works on any kind.
func (r *ModuleRevision) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces the conditions.
func (r *ModuleRevision) SetConditions(conditions []metav1.Condition) {
	r.Status.Conditions = conditions
}

// ModuleRevisionList is a list of ModuleRevisions.
//
// +kubebuilder:object:root=true
type ModuleRevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ModuleRevision `json:"items"`
}
