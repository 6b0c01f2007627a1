// Package bundle reads and writes bundle files: packages, images and their signatures in one file, to be carried where there is no way to
// the registries that they come from.
//
// A bundle is an OCI image layout in a tar archive, which containerd and other tools can read, too. What is in it is bound to its digests:
// manifests and blobs are kept bit for bit, and checked whenever they are read. Nothing of a bundle is unpacked to disk.
package bundle
