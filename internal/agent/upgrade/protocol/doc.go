// Package protocol decides what becomes of an attempt of the agent to replace itself. It is a table, as that of a module's life is: in a
// state, by an event that one of the two agents finds, if a guard holds, to a state, doing this. [Decide] looks into it; the drawing and
// the tables in docs/agentupgrade.md are drawn from it ('go generate' does so).
//
// It is pure: no I/O, no clock, nothing remembered. Two agents walk through the same table, each for its own part: whatever one of them
// finds that isn't its to decide is ignored. They agree by the AgentUpgrade alone, whose status has the state: each transition is one
// write, which the API server refuses if the other one was faster.
//
// What the table guarantees, and its tests prove for every way through it, with either agent stopped, lost or broken at any point:
//
//   - the new agent gets the lease only after a pod of its image has proved that it could work here, and after it has started;
//   - the old agent is scaled down only after the new one has proved itself, and its template stays;
//   - what the attempt made is removed only after the old agent has the lease again;
//   - only the old agent takes back, and only the new one commits; where one of them isn't there any more, the other one works on;
//   - no role is narrowed and no object is stored in another form by any of this;
//   - an attempt ends, and one agent works then.
package protocol

//go:generate go run ../../../drawing/draw protocol ../../../../docs/agentupgrade.md
