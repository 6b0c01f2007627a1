// Package deploy carries the manifests that install Slipway in a cluster, and renders them. An environment is an overlay; nothing
// else distinguishes one from another. Applying what it renders is not its job: that is 'slipway install' in internal/cli, or
// any tool that takes Kustomize.
package deploy
