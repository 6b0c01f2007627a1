// Package takeover passes objects back and forth between Flux's kustomize-controller, as it was released, and Slipway's agent, and checks
// that not one of them is written for it.
package takeover
