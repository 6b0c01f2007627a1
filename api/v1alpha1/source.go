package v1alpha1

// PackageSource says where a package comes from: exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.oci), has(self.git), has(self.chart), has(self.manifests), has(self.builtin)].filter(set, set).size() == 1",message="name exactly one source: oci, git, chart, manifests or builtin"
type PackageSource struct {
	// OCI takes a package from a registry: what `slipway package push` has put there. Its tags are the versions.
	//
	// +optional
	OCI *OCISource `json:"oci,omitempty"`

	// Git takes a package from a folder of a repository. Its tags are the versions.
	//
	// +optional
	Git *GitSource `json:"git,omitempty"`

	// Chart renders a Helm chart. Helm itself isn't used: there is no release, and hooks don't run.
	//
	// +optional
	Chart *ChartSource `json:"chart,omitempty"`

	// Manifests takes a file of plain manifests from a web server.
	//
	// +optional
	Manifests *ManifestsSource `json:"manifests,omitempty"`

	// Builtin is a module that is part of Slipway.
	//
	// +optional
	Builtin *BuiltinSource `json:"builtin,omitempty"`
}

// OCISource is a repository in a registry.
type OCISource struct {
	// URL of the repository, without tag and digest.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^oci://[^@]+$`
	URL string `json:"url"`

	// SecretRef names a Secret of type kubernetes.io/dockerconfigjson. Default: anonymous.
	//
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// GitSource is a folder in a Git repository.
type GitSource struct {
	// URL of the repository.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https|http|ssh)://.+$`
	URL string `json:"url"`

	// Path of the folder that holds package.yaml. Default: the root.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(part, part == '..')",message="path is inside the repository: it doesn't begin with / and has no .."
	Path string `json:"path,omitempty"`

	// TagPrefix comes before the version in the names of tags, where a repository holds several packages: "runner-v" for runner-v1.4.0.
	// A "v" before the version is accepted anyway. Default: none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	TagPrefix string `json:"tagPrefix,omitempty"`

	// SecretRef names a Secret with the same keys as that of a GitRepository. Default: anonymous.
	//
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// ChartSource is a Helm chart.
type ChartSource struct {
	// Repository is the address of a Helm repository (https://, http://), or of the folder of a registry that has the chart in it (oci://).
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https|http|oci)://.+$`
	Repository string `json:"repository"`

	// Name of the chart.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// SecretRef names a Secret with username and password, or of type kubernetes.io/dockerconfigjson for oci://. Default: anonymous.
	//
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// ManifestsSource is a file of manifests on a web server.
type ManifestsSource struct {
	// URL of the file. {version} in it is replaced by the version, which must be exact.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https|http)://.+$`
	URL string `json:"url"`

	// Digest that the file must have. Default: any; the plan shows which one it has.
	//
	// +optional
	Digest Digest `json:"digest,omitempty"`

	// SecretRef names a Secret with username and password. Default: anonymous.
	//
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// BuiltinSource is a module that is part of Slipway.
//
// +kubebuilder:validation:XValidation:rule="!has(self.secretRef) || self.name == 'agent'",message="only the agent has an image whose registry is asked: leave out secretRef"
type BuiltinSource struct {
	// Name of the module. agent: the agent itself, which replaces itself by the wanted version. delivery: what serves Flux's kinds, in the
	// agent's process and version.
	//
	// +kubebuilder:validation:Enum=agent;delivery
	Name string `json:"name"`

	// SecretRef names a Secret of type kubernetes.io/dockerconfigjson, with which the registry of the agent's image is asked for its tags.
	// Default: anonymous.
	//
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}

// The modules that are part of Slipway.
const (
	BuiltinAgent    = "agent"
	BuiltinDelivery = "delivery"
)

// Catalogue is a list of versions by module and channel. Exactly one of ConfigMap, OCI and Git is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.configMap), has(self.oci), has(self.git)].filter(set, set).size() == 1",message="name exactly one place of the catalogue: configMap, oci or git"
type Catalogue struct {
	// Channel is the column of the catalogue to follow.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Channel string `json:"channel"`

	// ConfigMap in the agent's namespace, with the catalogue under the key catalogue.yaml.
	//
	// +optional
	ConfigMap *ConfigMapReference `json:"configMap,omitempty"`

	// OCI is an artifact with a file catalogue.yaml, in the tag latest.
	//
	// +optional
	OCI *OCISource `json:"oci,omitempty"`

	// Git is a folder with a file catalogue.yaml, on the default branch.
	//
	// +optional
	Git *GitSource `json:"git,omitempty"`
}

// ConfigMapReference names a ConfigMap in the agent's namespace.
type ConfigMapReference struct {
	// Name of the ConfigMap.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Verification says whose signature a package must have. Exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.keysRef) != has(self.identities)",message="say either keysRef (public keys) or identities (keyless signatures)"
type Verification struct {
	// KeysRef names a Secret whose keys that end in .pub hold cosign's public keys. A signature by one of them is enough.
	//
	// +optional
	KeysRef *SecretReference `json:"keysRef,omitempty"`

	// Identities are those that may have signed without a key. One of them is enough.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Identities []SignerIdentity `json:"identities,omitempty"`
}

// SignerIdentity is what the certificate of a keyless signature must say. Both are regular expressions, and must match all of it.
type SignerIdentity struct {
	// Issuer of the identity.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Issuer string `json:"issuer"`

	// Subject is who signed: an address, a workflow.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject"`
}
