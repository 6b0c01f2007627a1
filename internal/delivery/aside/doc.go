// Package aside keeps the agent away from objects that Flux's own controllers work on: two engines on one object write against each
// other. While one of those controllers holds its leader election's Lease, and the agent was not told by a label selector which objects
// are its own, the agent reads, but reconciles nothing. It goes on by itself when the Lease is given up or runs out.
package aside
