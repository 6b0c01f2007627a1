// Package network connects the nodes of a lab with the host: a bridge per lab, a cable per node, routes to pods and Services,
// and what lets pods reach the networks that the host reaches.
//
// It asks iproute2 and iptables to do so. What it adds to the host bears the lab's mark, so that it can be found and removed
// without any record.
package network
