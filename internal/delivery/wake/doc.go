// Package wake says when an object is looked at: by whom it is woken, and after which pause. It is shared by the reconcilers of
// sources and of Kustomizations.
package wake
