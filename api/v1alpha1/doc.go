// Package v1alpha1 holds the kinds of slipway.dev: Module, ModuleRevision, ModuleGrant, Interpreter and AgentUpgrade.
//
// It says what may be written and what it means; it does nothing. Modules and what becomes of them are explained in docs/modules.md.
//
// All durations are written as Go writes them ("90s", "10m", "1h30m"). All digests are "sha256:" and 64 hexadecimal digits. Secrets and
// ConfigMaps that a cluster-scoped object names are in the namespace of the agent, so that nobody who may write a Module can have other
// people's Secrets read.
//
// +kubebuilder:object:generate=true
// +groupName=slipway.dev
package v1alpha1
