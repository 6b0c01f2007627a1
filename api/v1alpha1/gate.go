package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Gate is what a new revision has to pass before it is committed, that is before the old one is let go. What isn't said here is as the
// package says it, and what the package doesn't say is the default.
//
// +kubebuilder:validation:XValidation:rule="!has(self.soak) || !has(self.deadline) || duration(self.soak) < duration(self.deadline)",message="the deadline has to leave time for the soak: make it longer"
type Gate struct {
	// Deadline is how long an attempt may take, from the first write until the decision to commit. What isn't healthy by then has failed.
	// From 10s to 24h, and more than the soak. Default: 10m.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="deadline is from 10s to 24h"
	Deadline *metav1.Duration `json:"deadline,omitempty"`

	// Soak is how long everything has to stay healthy, and every check has to hold, without a break, after all was applied. At most 24h.
	// Default: 1m.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('24h')",message="soak is at most 24h"
	Soak *metav1.Duration `json:"soak,omitempty"`

	// Checks are asked during the soak, beside the health of the objects. They are added to those of the package; one of the same name
	// replaces the package's.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	Checks []Check `json:"checks,omitempty"`
}

// Check is a question whose answer must be yes. Exactly one of Object and Metric is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.object) != has(self.metric)",message="a check asks either an object or a metric"
type Check struct {
	// Name of the check, for messages.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Object asks an object in the cluster.
	//
	// +optional
	Object *ObjectCheck `json:"object,omitempty"`

	// Metric asks a Prometheus server.
	//
	// +optional
	Metric *MetricCheck `json:"metric,omitempty"`
}

// ObjectCheck asks one object. An object that isn't there is a no.
type ObjectCheck struct {
	// APIVersion of the object, such as apps/v1.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion"`

	// Kind of the object.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// Name of the object.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace of the object. Default: the namespace of the module, for kinds that have one.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// Expression in CEL that must be true, with the object as self. Default: the object is Healthy, as an Interpreter or the built-in rules
	// judge it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Expression string `json:"expression,omitempty"`
}

// MetricCheck asks a Prometheus server for one number. No answer, no number and several numbers are a no.
type MetricCheck struct {
	// Address of the server.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https|http)://.+$`
	Address string `json:"address"`

	// Query in PromQL.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Query string `json:"query"`

	// Expression in CEL that must be true, with the number as value: "value < 0.01".
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression"`

	// SecretRef names a Secret with bearerToken, or with username and password. Default: anonymous.
	//
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`
}
