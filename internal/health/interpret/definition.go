package interpret

import (
	"github.com/slipway-dev/slipway/internal/health"
)

// Definition is what an Interpreter of the cluster says of a kind: its spec.
type Definition struct {
	// Target is the kind, or the kinds, that it is for.
	Target Target `json:"target"`
	// Priority decides between interpreters for the same kind: the highest is used. Nil: PriorityPlatform.
	Priority *int32 `json:"priority,omitempty"`
	// Health are the rules by which an object is judged; the first one that holds is the verdict. When none holds, the object is Unknown.
	// Without any rule, it is judged by the rules that are built in.
	Health []Rule `json:"health,omitempty"`
	// Replicas says how many copies of what the object runs are wanted, as a number; or how many are wanted and ready, as
	// {'desired': N, 'ready': N}.
	Replicas string `json:"replicas,omitempty"`
	// Drained is true when the object runs nothing that would be lost if its controller, or what it runs, were stopped now.
	Drained string `json:"drained,omitempty"`
	// Dependencies lists the objects that this one cannot work without, as maps with kind and name, apiVersion (default v1) and namespace
	// (default the object's own).
	Dependencies string `json:"dependencies,omitempty"`
	// Version of what the object runs, as a text.
	Version string `json:"version,omitempty"`
	// Tests say what is to come out for given objects. An Interpreter of which one fails is not used.
	Tests []Test `json:"tests,omitempty"`
}

// Target names kinds.
type Target struct {
	// Group of the API; *.example.org stands for all groups that end with .example.org.
	Group string `json:"group"`
	// Kind; * stands for all kinds of the group.
	Kind string `json:"kind"`
	// Versions of the API. Empty: all.
	Versions []string `json:"versions,omitempty"`
}

// The priorities of interpreters, by whose they are. Those that come with Slipway have 0.
const (
	// PriorityPackage is of an interpreter that came with a package.
	PriorityPackage = 100
	// PriorityPlatform is of an interpreter of those who run the platform. It is the default.
	PriorityPlatform = 1_000
	// PriorityLocal is of an interpreter of those who run this cluster. It may be for a kind of Kubernetes itself.
	PriorityLocal = 10_000
	// MaxPriority is the highest one.
	MaxPriority = 1_000_000
)

// Rule is one case of an object's health.
type Rule struct {
	// State is the verdict.
	State health.State `json:"state"`
	// When is an expression that is true when this is the case. Empty: always.
	When string `json:"when,omitempty"`
	// Reason is one CamelCase word, or an expression after "=" that gives one. Empty, or where the expression gives none: the state.
	Reason string `json:"reason,omitempty"`
	// Message is an expression that gives a text for people. Where it gives none, the verdict says in which state the object is.
	Message string `json:"message,omitempty"`
}

// Test is an object and what is to come out for it.
type Test struct {
	Name   string         `json:"name"`
	Object map[string]any `json:"object"`
	Want   Want           `json:"want"`
}

// Want is what must come out. What is not given is not looked at. Dependencies are compared in any order; without a namespace, they are in
// the object's own, or in none.
type Want struct {
	Health       health.State `json:"health,omitempty"`
	Reason       string       `json:"reason,omitempty"`
	Message      string       `json:"message,omitempty"`
	Replicas     *Replicas    `json:"replicas,omitempty"`
	Drained      *bool        `json:"drained,omitempty"`
	Dependencies []Dependency `json:"dependencies,omitempty"`
	Version      string       `json:"version,omitempty"`
}

// Replicas are copies of what an object runs. Ready is nil where it is not known.
type Replicas struct {
	Desired int64  `json:"desired"`
	Ready   *int64 `json:"ready,omitempty"`
}

// Dependency is an object that another one cannot work without.
type Dependency struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// Result is all that an interpreter says of an object.
type Result struct {
	// Health is the verdict. Its rule is empty where what holds for all kinds, or what is built in, has decided.
	Health health.Verdict
	// Rule that has decided, such as health[2]. Empty: none of the interpreter's.
	Rule string
	// Replicas, Drained, Dependencies and Version are nil or empty where the interpreter has no word on them.
	Replicas     *Replicas
	Drained      *bool
	Dependencies []Dependency
	Version      string
	// Problems says which expressions could not be evaluated on this object, and why. They never quote the object.
	Problems []string
}
