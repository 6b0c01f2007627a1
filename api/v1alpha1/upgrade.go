package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Upgrade says when another version may be installed. Nothing of it holds up the first installation, except that policy Manual wants an
// approval for that as well if the plan can't be taken back.
type Upgrade struct {
	// Policy says who starts an upgrade. Automatic: the agent, when everything below allows it. Manual: the agent plans, and a person
	// approves that plan. Never: the installed version stays, and nothing is planned. Default: Automatic where the package declares that the
	// upgrade can be taken back, else Manual.
	//
	// +optional
	Policy UpgradePolicy `json:"policy,omitempty"`

	// Windows are the times at which an upgrade may begin. One that has begun is finished, also after the window. Default: always.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Windows []Window `json:"windows,omitempty"`

	// MinAge is how long a version must have been published before it is taken, by the time that its package says. At most 8760h.
	// Default: 0s.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('8760h')",message="minAge is at most 8760h, a year"
	MinAge *metav1.Duration `json:"minAge,omitempty"`

	// AcceptIrreversible names the one version that may be installed although the plan says that it can't be taken back: "1.5.0".
	// Without it such a plan waits for an approval, whatever the policy. Default: none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	AcceptIrreversible string `json:"acceptIrreversible,omitempty"`
}

// UpgradePolicy says who starts an upgrade.
//
// +kubebuilder:validation:Enum=Automatic;Manual;Never
type UpgradePolicy string

const (
	UpgradeAutomatic UpgradePolicy = "Automatic"
	UpgradeManual    UpgradePolicy = "Manual"
	UpgradeNever     UpgradePolicy = "Never"
)

// Window is a time of the week that comes back.
type Window struct {
	// Days on which the window begins. Default: every day.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=7
	// +listType=set
	Days []Weekday `json:"days,omitempty"`

	// Start of the window as HH:MM, from 00:00 to 23:59.
	//
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	Start string `json:"start"`

	// Duration of the window, from 1m to 168h. It may go on into the next day.
	//
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="a window lasts from 1m to 168h"
	Duration metav1.Duration `json:"duration"`

	// TimeZone by its name in the IANA database, such as Europe/Madrid. Default: UTC.
	//
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}

// Weekday is a day in three letters.
//
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

// RollbackPolicy says who takes a failed attempt back.
//
// +kubebuilder:validation:Enum=Automatic;Manual
type RollbackPolicy string

const (
	RollbackAutomatic RollbackPolicy = "Automatic"
	RollbackManual    RollbackPolicy = "Manual"
)
