// Package term says who works: one Lease for both slots of the agent, with a term that grows by one whenever the slot changes.
//
// Within a slot the replicas elect one of them by the Lease as always. Between slots the annotations of the Lease decide: no process of the
// other slot may take it, however long it is free. To hand over is one write that changes them and leaves the holder as it is: who holds
// the Lease finishes what it does, and lets go; only then, or when it has run out, the other slot's processes get it. So two never hold it
// at once.
//
// A slot that falls silent loses the Lease to the other one ([Lock] and [Silence] say when): whatever happens to one of them, the other one
// works on.
//
// What a process that held the Lease could still write after that is stopped in two ways. The [Fence] around its clients lets nothing
// through that changes something once the Lease may have run out. And what the slots themselves consist of carries the term in which it
// was written last ([Stamp]): a write that goes out from an older one is refused by the API server, as a conflict.
package term
