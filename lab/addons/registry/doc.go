// Package registry serves OCI images from a folder, for one lab: pushes from
// the machine it runs on, pulls by the lab's containerd, for which it stands in
// for every other registry.
//
// It builds on go-containerregistry's registry, which keeps manifests in
// memory; this package keeps them on disk as well and hands them back when it
// starts. It has no authentication and no garbage collection: it listens on
// loopback and the lab's bridge only, and `down` removes the folder.
package registry
