// Package revision says what a revision of a module is, and keeps revisions in the cluster: one ModuleRevision each, and immutable Secrets
// with what is large (objects, plans), named by their content and stored once.
//
// It doesn't know what becomes of a revision: package attempt does, and writes their status.
package revision
