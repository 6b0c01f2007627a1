package network

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/slipway-dev/slipway/internal/lab/address"
)

// EnsureNode connects the i-th of the lab's nodes, whose init is pid, and tells the host and the other nodes apart from its pods.
func EnsureNode(ctx context.Context, lab string, plan address.Plan, i, nodes, pid int) error {
	if err := cable(ctx, lab, plan, i, pid); err != nil {
		return err
	}
	for other := range nodes {
		if other == i {
			continue
		}
		if err := ipIn(ctx, pid, "route", "replace", plan.PodsOf(other).String(), "via", plan.Node(other).String()); err != nil {
			return err
		}
	}
	return hostRoutes(ctx, plan, i)
}

// cable makes the pair of devices, unless the node's end is there and configured: the default route is what comes last.
func cable(ctx context.Context, lab string, plan address.Plan, i, pid int) error {
	out, err := run(ctx, "nsenter", "-t", strconv.Itoa(pid), "-n", "ip", "-4", "route", "show", "default")
	if err != nil {
		return err
	}
	if len(out) > 0 {
		return nil
	}
	link := plan.Link(i)
	// Left by a predecessor whose namespace the kernel is still taking apart, or by a command that was killed here.
	if existing, err := devices(ctx, lab); err != nil {
		return err
	} else if slices.Contains(existing, link) {
		if err := ip(ctx, "link", "delete", link); err != nil {
			return err
		}
	}
	host := [][]string{
		{"link", "add", link, "alias", mark(lab), "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid)},
		{"link", "set", link, "alias", mark(lab), "master", plan.Bridge(), "up"},
	}
	inside := [][]string{
		{"link", "set", "lo", "up"},
		{"link", "set", "eth0", "up"},
		{"address", "replace", fmt.Sprintf("%s/%d", plan.Node(i), plan.Nodes().Bits()), "dev", "eth0"},
		{"route", "replace", "default", "via", plan.Gateway().String()},
	}
	for _, args := range host {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	for _, args := range inside {
		if err := ipIn(ctx, pid, args...); err != nil {
			return err
		}
	}
	return nil
}

// hostRoutes lead the host to the node's pods and, through the first node, to Services.
func hostRoutes(ctx context.Context, plan address.Plan, i int) error {
	destinations := []string{plan.PodsOf(i).String()}
	if i == 0 {
		destinations = append(destinations, plan.Services().String())
	}
	for _, destination := range destinations {
		if err := ip(ctx, "route", "replace", destination, "via", plan.Node(i).String(), "dev", plan.Bridge()); err != nil {
			return err
		}
	}
	return nil
}
