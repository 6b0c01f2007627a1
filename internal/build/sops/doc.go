// Package sops decrypts files that the program of that name has encrypted, for age and OpenPGP keys. It only decrypts, and only in memory: no
// other program is run, no keyring or environment is looked at, nothing is asked of a key service.
//
// A SOPS file keeps its structure and has its values encrypted one by one: AES-256 in GCM, with the value's path as additional data, so
// that a value can't be moved. All values in the order of the file, in the clear, are hashed with SHA-512; that hash is encrypted beside
// them with the time of the last change as additional data. The one data key for all of it is encrypted for each recipient; with several
// key groups it is split among them by Shamir's scheme. The format is described at https://getsops.io/docs; interop/sops compares this
// package with the reference implementation, which isn't used because it brings the SDKs of every cloud's key service with it.
//
// Errors name recipients and paths of values, never a value.
package sops
