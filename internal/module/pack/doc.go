// Package pack reads, fetches, renders and builds packages: what a Module installs.
//
// A package is a folder with a package.yaml, whose type is [Manifest], and beside it any of
//
//	manifests/     plain manifests, or a Kustomize folder
//	crds/          definitions of kinds
//	chart/         a Helm chart; it is rendered only
//	interpreters/  Interpreters, which teach the agent the package's kinds
//
// [Fetcher] takes one from a registry, a Git repository, a Helm repository or a web server, bound to its bytes; [Package.Render] makes
// objects of it, the same ones each time for the same [Rendering]; [Build] makes an artifact of a folder, the same bytes each time.
//
// The package runs no other program, asks no cluster, and writes nowhere but to the store that it is given. It decides nothing: which
// version is wanted, whether its permissions are granted and whether it is compatible is for others to say.
package pack
