package address_test

import (
	"net/netip"
	"testing"

	"github.com/slipway-dev/slipway/internal/lab/address"
)

func TestEverythingOfALabIsInItsBlock(t *testing.T) {
	for slot := range address.Slots {
		plan := address.Plan{Slot: slot}
		last := address.MaxNodes - 1
		for name, addr := range map[string]netip.Addr{
			"gateway": plan.Gateway(), "first node": plan.Node(0), "last node": plan.Node(last), "DNS": plan.DNS(),
			"Services": plan.Services().Addr(), "first pods": plan.PodsOf(0).Addr(), "last pods": plan.PodsOf(last).Addr(),
		} {
			if !plan.Block().Contains(addr) {
				t.Errorf("slot %d: %s %s is not in %s", slot, name, addr, plan.Block())
			}
		}
	}
}

func TestRangesOfALabDoNotOverlap(t *testing.T) {
	plan := address.Plan{Slot: 3}
	ranges := map[string]netip.Prefix{"nodes": plan.Nodes(), "services": plan.Services(), "pods": plan.Pods()}
	for one, a := range ranges {
		for two, b := range ranges {
			if one != two && a.Overlaps(b) {
				t.Errorf("%s %s overlaps with %s %s", one, a, two, b)
			}
		}
	}
	if !plan.Nodes().Contains(plan.Node(address.MaxNodes - 1)) {
		t.Errorf("the last node %s is not in %s", plan.Node(address.MaxNodes-1), plan.Nodes())
	}
	if got := plan.PodsOf(0); got.Overlaps(plan.PodsOf(1)) || !plan.Pods().Contains(plan.PodsOf(address.MaxNodes-1).Addr()) {
		t.Errorf("nodes' pods: %s and %s in %s", got, plan.PodsOf(1), plan.Pods())
	}
}

func TestDeviceNamesFitLinux(t *testing.T) {
	const longest = 15 // IFNAMSIZ without the closing zero
	plan := address.Plan{Slot: address.Slots - 1}
	for _, name := range []string{plan.Bridge(), plan.Link(address.MaxNodes - 1)} {
		if len(name) > longest {
			t.Errorf("%q has %d bytes, at most %d are allowed", name, len(name), longest)
		}
	}
}

func TestFree(t *testing.T) {
	prefix := netip.MustParsePrefix
	tests := map[string]struct {
		reason string
		taken  map[int]bool
		inUse  []netip.Prefix
		want   int
	}{
		"Empty":      {reason: "the first lab has the first slot", want: 0},
		"OtherLab":   {reason: "another lab's slot is its own, also when it doesn't run", taken: map[int]bool{0: true, 1: true}, want: 2},
		"Route":      {reason: "the host already reaches something there", inUse: []netip.Prefix{prefix("10.64.7.0/24")}, want: 1},
		"WideRoute":  {reason: "a route may be wider than a block", inUse: []netip.Prefix{prefix("10.64.0.0/14")}, want: 4},
		"Host":       {reason: "a single address counts, too", inUse: []netip.Prefix{prefix("10.64.0.1/32")}, want: 1},
		"FarAway":    {reason: "other networks don't matter", inUse: []netip.Prefix{prefix("192.168.0.0/16")}, want: 0},
		"EveryOther": {reason: "gaps are filled", taken: map[int]bool{0: true, 2: true}, want: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			plan, err := address.Free(func(slot int) bool { return tc.taken[slot] }, tc.inUse)
			if err != nil || plan.Slot != tc.want {
				t.Errorf("%s: got slot %d, %v, want %d", tc.reason, plan.Slot, err, tc.want)
			}
		})
	}
}

func TestFreeSaysWhenNothingIs(t *testing.T) {
	if plan, err := address.Free(func(int) bool { return false }, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err == nil {
		t.Errorf("all of 10.0.0.0/8 is in use, got slot %d", plan.Slot)
	}
}
