// Package source brings trees of files from elsewhere into one content-addressed store.
//
// [Git.Fetch] asks a server what a reference points at, fetches only what is
// missing, checks the tree out through the ignore rules and the limits, and
// hands out an immutable [Snapshot]. Snapshots are read in place through io/fs:
// nothing is packed or unpacked between a fetch and a build. A tar.gz is made
// only for those who ask for one, see [Handler].
//
// What does not come from Git comes as single files or as a tar archive: see
// [Draft] and [Store.Receive].
//
// Who may see what: objects are kept once per URL, whoever fetched them. A
// request gets a snapshot only after its own credentials were shown the commit
// by the server, as the tip of an advertised reference, in the history of one,
// or by a fetch of that very commit. What a server said of its references is
// used again for the same URL and the same credentials only.
//
// The package knows nothing of Kubernetes but the types of a GitRepository's
// spec. It writes no status, keeps no schedule and runs no other program.
package source
