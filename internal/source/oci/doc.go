// Package oci brings artifacts from container registries into the store of package source.
//
// [Client.Fetch] resolves a reference to a digest (one HEAD request where a tag
// is followed), has the artifact's signature checked, and pulls the manifest and
// one layer only if the digest is one that the store doesn't have. The layer is
// received in whole, held against its digest, and unpacked within bounds.
//
// Whoever asks must have been shown the manifest by the registry with their own
// credentials; what others fetched is only shared after that.
//
// The package knows nothing of Kubernetes but the types of an OCIRepository's
// spec. It keeps no schedule, and never reads Docker's own configuration files.
package oci
