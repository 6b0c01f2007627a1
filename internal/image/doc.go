// Package image makes container images of static binaries without a container engine, and brings them to a registry.
//
// An image holds the binary, a user to run it as, a place for temporary files, and nothing else: no shell, no package manager.
// The same input gives the same digest on every machine. Building Go programs is not its job.
package image
