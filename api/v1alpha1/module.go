package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ModuleKind is the kind of a Module.
const ModuleKind = "Module"

// Module is a component that the agent installs, upgrades and keeps as it should be: one object for each component of the cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=slipway
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.current.version`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.status.target.version`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of a module has at most 63 characters: objects carry it as a label"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.source.builtin) || self.metadata.name == self.spec.source.builtin.name",message="there is one module of each part of Slipway, which is called as source.builtin.name says"
// +kubebuilder:validation:XValidation:rule="has(self.spec.source.builtin) || self.metadata.name != 'agent'",message="the agent is a part of Slipway: give the module another name, or say source.builtin"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.dependsOn) || !self.spec.dependsOn.exists(d, d.module == self.metadata.name)",message="a module can't depend on itself"
type Module struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ModuleSpec   `json:"spec"`
	Status ModuleStatus `json:"status,omitempty"`
}

// ModuleSpec is what is wanted.
//
// +kubebuilder:validation:XValidation:rule="has(self.__namespace__) == has(oldSelf.__namespace__) && (!has(self.__namespace__) || self.__namespace__ == oldSelf.__namespace__)",message="namespace can't be changed, as that would be another installation: delete the module and create it again"
// +kubebuilder:validation:XValidation:rule="!has(self.source.builtin) || self.source.builtin.name == 'agent' || !(has(self.version) || has(self.catalogue) || has(self.upgrade))",message="it runs in the agent and has the agent's version: leave out version, catalogue and upgrade here, and say them in a module with source.builtin.name agent"
// +kubebuilder:validation:XValidation:rule="!has(self.source.builtin) || !(has(self.verify) || has(self.__namespace__) || has(self.values) || has(self.valuesFrom) || has(self.images) || has(self.grantRef) || has(self.gate) || has(self.dependsOn) || has(self.uninstall) || has(self.adopt) && self.adopt)",message="what is part of Slipway has no package and no objects: leave out verify, namespace, values, valuesFrom, images, grantRef, gate, dependsOn, adopt and uninstall"
// +kubebuilder:validation:XValidation:rule="has(self.source.builtin) == has(oldSelf.source.builtin) && (!has(self.source.builtin) || self.source.builtin.name == oldSelf.source.builtin.name)",message="a module that is part of Slipway can't become another one: delete this Module and create another"
// +kubebuilder:validation:XValidation:rule="!has(self.source.manifests) || has(self.version) || has(self.catalogue)",message="a web server has no list of versions: name one in version, or follow a catalogue"
type ModuleSpec struct {
	// Source says where the package comes from.
	Source PackageSource `json:"source"`

	// Version is the wanted version: exact ("1.4.2"), or a range of which the newest is taken (">=1.4 <2", "~1.4"). Versions before a release
	// are taken only where the range names one. With a catalogue it bounds what the catalogue may say. Default: the newest.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version,omitempty"`

	// Catalogue that says the version, in place of the newest in the source. Default: none.
	//
	// +optional
	Catalogue *Catalogue `json:"catalogue,omitempty"`

	// Interval is the pause between two looks for other versions, spread a little. At least 10s. Default: 10m.
	//
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="interval is at least 10s"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// Verify says whose signature the package must have. Default: the agent's own policy.
	//
	// +optional
	Verify *Verification `json:"verify,omitempty"`

	// Namespace for the objects of the package that have one and don't say which. It is made if it isn't there. It can't be changed.
	// Default: the package's, else the name of the module.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// Values are the settings of the package, checked against its schema. They win over those of valuesFrom. Default: the package's.
	//
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Values *apiextensionsv1.JSON `json:"values,omitempty"`

	// ValuesFrom are more settings; a later one wins over an earlier one.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	ValuesFrom []ValuesReference `json:"valuesFrom,omitempty"`

	// Images are taken from elsewhere: the first prefix that fits is replaced. For mirrors and clusters without the internet.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Images []ImageRewrite `json:"images,omitempty"`

	// GrantRef names the ModuleGrant that bounds what the package may bring and what its controllers may do. Who writes the Module must be
	// allowed the verb "use" on it. Default: none, and then the package may have neither roles nor objects outside its namespace.
	//
	// +optional
	GrantRef *GrantReference `json:"grantRef,omitempty"`

	// Upgrade says when another version may be installed.
	//
	// +optional
	Upgrade *Upgrade `json:"upgrade,omitempty"`

	// Gate is what a new revision has to pass before the old one is let go.
	//
	// +optional
	Gate *Gate `json:"gate,omitempty"`

	// Rollback says who takes back an attempt that failed before it was committed. Automatic: the agent, if the plan says that it can be
	// taken back. Manual: a person; until then the module is Frozen. Default: Automatic.
	//
	// +optional
	// +kubebuilder:default=Automatic
	Rollback RollbackPolicy `json:"rollback,omitempty"`

	// DependsOn are modules that must be installed and healthy first. They are added to what the package requires. None of them is
	// upgraded or uninstalled in a way that breaks what is said here.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=module
	DependsOn []ModuleDependency `json:"dependsOn,omitempty"`

	// Adopt takes over objects that are in the cluster already, and belong to Helm, Flux, Argo CD or a person. Without it the plan is
	// Blocked by each of them. Default: false.
	//
	// +optional
	Adopt bool `json:"adopt,omitempty"`

	// Uninstall says what is left when the Module is deleted.
	//
	// +optional
	Uninstall *Uninstall `json:"uninstall,omitempty"`

	// RevisionHistoryLimit is how many revisions are kept beside the installed one, from 1 to 20. Default: 3.
	//
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	RevisionHistoryLimit int32 `json:"revisionHistoryLimit,omitempty"`

	// Paused begins nothing: no upgrade, and drift is told but not corrected. An attempt that has begun is finished. Default: false.
	//
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// ValuesReference names values in the agent's namespace.
type ValuesReference struct {
	// Kind is Secret or ConfigMap.
	//
	// +kubebuilder:validation:Enum=Secret;ConfigMap
	Kind string `json:"kind"`

	// Name of the Secret or ConfigMap.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key under which the values are, as YAML. Default: values.yaml.
	//
	// +optional
	// +kubebuilder:default=values.yaml
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`

	// Optional values may be missing. Default: false.
	//
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// ImageRewrite replaces the beginning of images' names.
type ImageRewrite struct {
	// From is the prefix to replace, which ends where a part of the name ends: quay.io/jetstack.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	From string `json:"from"`

	// To takes its place: mirror.example.com/jetstack.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	To string `json:"to"`
}

// GrantReference names a ModuleGrant.
type GrantReference struct {
	// Name of the ModuleGrant.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ModuleDependency is another module, which must be there first.
type ModuleDependency struct {
	// Module is its name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Module string `json:"module"`

	// Version is the range of versions that will do. Default: any.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version,omitempty"`
}

// Uninstall says what is left when a Module is deleted.
type Uninstall struct {
	// Definitions of kinds that the package brought. Keep: they stay, and so does every object of these kinds. Delete: both go.
	// Default: Keep.
	//
	// +optional
	// +kubebuilder:default=Keep
	Definitions DefinitionsPolicy `json:"definitions,omitempty"`
}

// DefinitionsPolicy says what becomes of CRDs.
//
// +kubebuilder:validation:Enum=Keep;Delete
type DefinitionsPolicy string

const (
	KeepDefinitions   DefinitionsPolicy = "Keep"
	DeleteDefinitions DefinitionsPolicy = "Delete"
)

// GetConditions returns the conditions, for code that works on any kind.
func (m *Module) GetConditions() []metav1.Condition { return m.Status.Conditions }

// SetConditions replaces the conditions.
func (m *Module) SetConditions(conditions []metav1.Condition) { m.Status.Conditions = conditions }

// ModuleList is a list of Modules.
//
// +kubebuilder:object:root=true
type ModuleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Module `json:"items"`
}
