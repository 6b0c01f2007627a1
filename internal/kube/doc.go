// Package kube is what several parts of Slipway need of Kubernetes and none of them owns: references to objects, clients per
// identity over one shared transport, the mapping from kinds to resources, status patches, conditions and events.
//
// It knows nothing of sources, builds or applies, and it keeps no objects: package apply/observe watches them.
package kube
