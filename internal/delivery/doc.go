// Package delivery reconciles Flux's kinds: what is in Git runs in the cluster, and stays so.
//
// It ties together source (fetch), build (render), apply (write) and health (judge), none of which know each other. The reconcilers here
// are thin: they gather what is known, ask a pure function what to do ([decide]), do it, and write the status once.
//
// No reconciler waits. What is expected is recorded, the worker is let go, and a watch or a deadline wakes the object again. What was
// learned about an object is kept in memory only to save work: after a restart it is empty, everything is looked at once more, and the
// result is the same.
package delivery
