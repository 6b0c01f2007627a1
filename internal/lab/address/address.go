// Package address plans the addresses of labs. Each real lab has a slot, and with it a block of addresses and a bridge that no
// other lab on the machine has, so that several live side by side and the host reaches the pods and Services of each.
//
// It only calculates; internal/lab/network makes the addresses real.
package address

import (
	"fmt"
	"net/netip"
)

const (
	// Slots is how many real labs a machine can have at the same time.
	Slots = 64
	// MaxNodes is how many nodes a lab can have: pods' half of the block has one /24 for each.
	MaxNodes = 64

	// firstBlock is the second byte of slot 0's addresses: 10.64.0.0 to 10.127.255.255 is where neither Docker (172.16.0.0/12),
	// Kubernetes' usual defaults (10.96.0.0/12 apart), home routers nor carriers (100.64.0.0/10) are at home. A block that
	// overlaps with any route of the host is not used.
	firstBlock = 64
)

// Plan is where everything in one lab is: 10.X.0.0/24 nodes, 10.X.16.0/20 Services, 10.X.128.0/17 pods.
type Plan struct {
	Slot int
}

func (p Plan) at(third, fourth byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, firstBlock + byte(p.Slot), third, fourth})
}

// Block holds all addresses of the lab.
func (p Plan) Block() netip.Prefix { return netip.PrefixFrom(p.at(0, 0), 16) }

// Nodes is the network that the nodes share with the host.
func (p Plan) Nodes() netip.Prefix { return netip.PrefixFrom(p.at(0, 0), 24) }

// Gateway is the host's address in Nodes: what pods call the host by.
func (p Plan) Gateway() netip.Addr { return p.at(0, 1) }

// Node is the address of the i-th node, counted from 0.
func (p Plan) Node(i int) netip.Addr { return p.at(0, byte(2+i)) }

// Pods is the range of all pods.
func (p Plan) Pods() netip.Prefix { return netip.PrefixFrom(p.at(128, 0), 17) }

// PodsOf is the range of the i-th node's pods.
func (p Plan) PodsOf(i int) netip.Prefix { return netip.PrefixFrom(p.at(128+byte(i), 0), 24) }

// Services is the range of ClusterIPs.
func (p Plan) Services() netip.Prefix { return netip.PrefixFrom(p.at(16, 0), 20) }

// DNS is the ClusterIP of the Service kube-dns.
func (p Plan) DNS() netip.Addr { return p.at(16, 10) }

// Bridge is the name of the host's network device for the lab.
func (p Plan) Bridge() string { return fmt.Sprintf("slipway%d", p.Slot) }

// Link is the name of the host's end of the i-th node's cable. It fits the 15 bytes that Linux gives a device.
func (p Plan) Link(i int) string { return fmt.Sprintf("slipway%d.%d", p.Slot, i) }

// Free returns the first slot that no other lab has and whose block overlaps with none of the routes in use.
func Free(taken func(slot int) bool, inUse []netip.Prefix) (Plan, error) {
	for slot := range Slots {
		plan := Plan{Slot: slot}
		if !taken(slot) && !overlaps(plan.Block(), inUse) {
			return plan, nil
		}
	}
	return Plan{}, fmt.Errorf("all %d blocks of addresses between %s and %s are in use: remove a lab with slipway down",
		Slots, Plan{}.Block(), Plan{Slot: Slots - 1}.Block())
}

func overlaps(block netip.Prefix, others []netip.Prefix) bool {
	for _, other := range others {
		if block.Overlaps(other) {
			return true
		}
	}
	return false
}
