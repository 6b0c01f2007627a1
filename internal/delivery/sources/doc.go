// Package sources reconciles the kinds that say where files come from: what a server has is in the store, and the object's status says
// which revision that is.
//
// All kinds are served by one reconciler, which knows when to fetch, how long to pause after a failure, what to do while a source is
// suspended, what to keep in the store, and how to write the status. What differs between kinds is a [driver]: a new kind of source is
// one file with one. Nothing here knows who builds from a source; who waits for one is told by a function, see [Options].
//
// No reconcile waits for a server: a fetch is a flight that holds no worker, and its end wakes the object.
package sources
