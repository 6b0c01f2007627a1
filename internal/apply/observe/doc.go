// Package observe watches the objects that Slipway applied, and keeps a few hundred bytes of each: who it is, a hash of the fields
// that are ours, and how healthy it is. From that it tells drift and health without a request and without the objects' bodies.
//
// Objects are found by their owner label; single objects of others are watched by name. Kinds that are healthy by
// existing are watched by their metadata alone. What healthy means is not known here: whoever makes a pool says how to judge.
//
// It doesn't correct anything and decides nothing: whoever subscribed does.
package observe
