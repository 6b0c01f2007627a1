// Package upgrade has the agent replace itself without a moment in which a cluster could be left without one. There are two places for an
// agent, the slots a and b: StatefulSets alike but for their name, their image and one label. The new agent's image is first tried in a
// pod of its own (package probe), then started in the free slot, then given the lease (package term), then it has to prove itself; only
// after that the old one is scaled down. What fails is taken back, by the old agent and nobody else.
//
// Both agents run a [Driver] on the same AgentUpgrade, and each does its part of the table in package protocol. Everything that a driver
// needs to go on after a restart is in the AgentUpgrade, the Lease and the two StatefulSets.
package upgrade
