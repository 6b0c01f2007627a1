// Package upgrade proves with real pods that the agent replaces itself, and that a cluster is never left without one: two builds of Slipway
// run in a lab with a real node, one takes over from the other, and what can go wrong does. So do pods that serve nothing but delivery.
package upgrade
