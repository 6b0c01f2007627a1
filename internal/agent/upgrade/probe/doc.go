// Package probe is what a new agent tries before it may run: whether it could work in this cluster, with this service account. It changes
// nothing. The pod that runs it hands its [Report] to the running agent as its termination message, for which nobody needs a right.
package probe
