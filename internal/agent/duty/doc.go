// Package duty says which process serves a part of Slipway, such as delivery: the agent that leads, or processes that serve nothing else.
// One Lease for each part, in the agent's namespace, names who does.
//
// The agent holds it as "slipway-agent/..." for as long as it leads, without renewing it: nobody takes such a hold over while the agent's own
// Lease is renewed, and the agent's own election says which agent may. So a cluster in which the agent serves everything pays nothing for this. A [Server]
// is one of the other processes: it asks for the Lease by an annotation. The agent, which watches the Lease ([Post.Follow]), stops what it
// serves, and lets go only then; from there on servers elect one of them by the Lease, renewing it as usual.
//
// When nobody has renewed it for a while the agent takes it back, so that no part is ever without somebody who serves it for long, whatever
// became of the servers. One that stopped without letting go is given the part again, each time after a longer pause.
//
// Two never serve a part at once, by what every election of Kubernetes' assumes: that who can't renew its Lease stops before others may take
// it. A [term.Fence] around the clients of each holder sees to that.
package duty
