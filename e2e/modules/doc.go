// Package modules has Slipway install, upgrade and take back controllers of other projects, as their authors have released them, on a cluster
// that runs them. The programs are built from their modules by tools/upstream.
package modules
