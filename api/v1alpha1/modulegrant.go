package v1alpha1

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ModuleGrantKind is the kind of a ModuleGrant.
const ModuleGrantKind = "ModuleGrant"

// ModuleGrant bounds what modules may bring into the cluster and what their controllers may do there. The owner of the platform writes
// it; who may use it is a matter of roles: the verb "use" on the ModuleGrant. It has no status: nothing happens to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=slipway
// +kubebuilder:printcolumn:name="Modules",type=string,JSONPath=`.spec.modules`
// +kubebuilder:printcolumn:name="Namespaces",type=string,JSONPath=`.spec.namespaces`
// +kubebuilder:printcolumn:name="Pods",type=string,JSONPath=`.spec.podSecurity`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ModuleGrant struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ModuleGrantSpec `json:"spec"`
}

// ModuleGrantSpec is an upper bound: it gives nobody anything that the package doesn't ask for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.rules) || (has(self.namespaces) && size(self.namespaces) > 0)",message="rules hold in namespaces: name at least one, or use clusterRules"
// +kubebuilder:validation:XValidation:rule="!has(self.namespaces) || !('*' in self.namespaces) || size(self.namespaces) == 1",message="the namespace * stands for all: name no others beside it"
type ModuleGrantSpec struct {
	// Modules that may use it, by name. Default: any whose author may use it.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	Modules []string `json:"modules,omitempty"`

	// Namespaces in which the package may have objects, and in which rules hold. "*" alone stands for all. Default: none but the module's own.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$`
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`

	// Rules are the most that roles of the package may allow in those namespaces. Default: nothing.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	Rules []rbacv1.PolicyRule `json:"rules,omitempty"`

	// ClusterRules are the most that roles of the package may allow in the whole cluster. Default: nothing.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	ClusterRules []rbacv1.PolicyRule `json:"clusterRules,omitempty"`

	// ClusterObjects are the kinds without a namespace that the package may have objects of. ClusterRoles and their bindings need no mention:
	// clusterRules bounds them; nor does the module's own namespace. Default: none.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	ClusterObjects []GrantedKind `json:"clusterObjects,omitempty"`

	// PodSecurity is the least strict level of the Pod Security Standards that pods of the package may need. Default: baseline.
	//
	// +optional
	// +kubebuilder:default=baseline
	PodSecurity PodSecurityLevel `json:"podSecurity,omitempty"`
}

// GrantedKind is a kind of objects without a namespace.
type GrantedKind struct {
	// Group of the kind; empty for the core group.
	//
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group"`

	// Kind of the objects, never "*".
	//
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// Names of the objects; a name may begin with "*." to stand for all that end so, as in "*.cert-manager.io". Default: any.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=set
	Names []string `json:"names,omitempty"`
}

// PodSecurityLevel is a level of the Pod Security Standards.
//
// +kubebuilder:validation:Enum=restricted;baseline;privileged
type PodSecurityLevel string

const (
	PodSecurityRestricted PodSecurityLevel = "restricted"
	PodSecurityBaseline   PodSecurityLevel = "baseline"
	PodSecurityPrivileged PodSecurityLevel = "privileged"
)

// ModuleGrantList is a list of ModuleGrants.
//
// +kubebuilder:object:root=true
type ModuleGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ModuleGrant `json:"items"`
}
