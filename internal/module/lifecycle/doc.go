// Package lifecycle decides what becomes of a Module next. It is a table: from a state, by an event, if a guard holds, to a state, doing
// this. [Next] looks into it; the states and the table in docs/modules.md are drawn from it ('go generate' does so).
//
// It is pure: no I/O, no clock, nothing remembered. Whoever asks finds out what has happened (events) and how things are (facts), does
// the actions in their order, and stores the new state with the outcome. Every state can be entered again: after a restart the agent does
// the state's [Work], all of which may be done twice.
//
// Events aren't messages that can be lost: whoever asks finds them by comparing the object with the world, each time it looks. What one
// state ignores is found again in the next one, if it is still so.
//
// What the table guarantees, and its tests prove for every way through it:
//
//   - nothing is written before a plan without problems, and the last thing before the first write is always a plan;
//   - before the commit nothing is pruned, no role is narrowed, and no object is stored in a form that the old version can't read;
//   - after the commit has begun nothing is taken back: there is only forward;
//   - a digest that failed isn't tried again until a person says so, or changes the spec;
//   - out of Frozen only a person leads;
//   - work ends: whatever happens, it comes to a state in which nothing is due.
package lifecycle

//go:generate go run ../../drawing/draw lifecycle ../../../docs/modules.md
