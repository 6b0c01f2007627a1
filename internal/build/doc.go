// Package build turns a tree of files and a Kustomization's spec into Kubernetes objects.
//
// It reads from an fs.FS only: no temporary folders, no network, no other
// programs, no cluster. A build therefore depends on nothing but its Input, and
// Result.Reads says which part of the tree that was, so that a caller can tell
// whether another commit would give the same objects without building it.
//
// The steps of a build: find the kustomization file (or write one in memory for a
// folder of plain manifests), lay the spec's overlays over it, run Kustomize in
// process, substitute variables, set the common metadata, check the objects.
//
// The package does not fetch sources, does not read ConfigMaps or Secrets (Input.Vars
// and Input.Keys are the caller's; package inputs reads them), and does not ask the
// API server whether an object is valid.
package build
