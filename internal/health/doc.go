// Package health says how an object in the cluster is doing: Healthy, Progressing,
// Degraded or Unknown, and why.
//
// Assess is a pure function of one object as it is read from the API server: it asks
// nobody, knows no time and keeps nothing. What is true of a kind is one rule in the
// table in table.go; kinds without a rule follow the conventions for custom resources
// (conditions Ready, Reconciling, Stalled, and observedGeneration), as kstatus reads
// them. Rules compiles a Kustomization's healthCheckExprs on top of that.
//
// The package does not watch, does not wait, and does not decide when waiting has
// lasted too long: a deadline is the caller's. It does not look at other objects
// either: a Deployment's verdict comes from its own status, not from its Pods.
package health
