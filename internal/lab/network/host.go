package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/slipway-dev/slipway/internal/lab/address"
	"github.com/slipway-dev/slipway/internal/lab/sysctl"
)

// InUse returns the destinations of all of the host's routes but the default one.
func InUse(ctx context.Context) ([]netip.Prefix, error) {
	out, err := run(ctx, "ip", "-json", "-4", "route", "show", "table", "all")
	if err != nil {
		return nil, err
	}
	var routes []struct {
		Destination string `json:"dst"`
	}
	if err := json.Unmarshal(out, &routes); err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	var inUse []netip.Prefix
	for _, route := range routes {
		if prefix, ok := parse(route.Destination); ok && prefix.Bits() > 0 {
			inUse = append(inUse, prefix)
		}
	}
	return inUse, nil
}

// parse reads what ip prints: a prefix, a single address, or a word such as default.
func parse(destination string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(destination); err == nil {
		return prefix, true
	}
	if addr, err := netip.ParseAddr(destination); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	return netip.Prefix{}, false
}

// mark is the alias of a lab's devices.
func mark(lab string) string { return "slipway lab " + lab }

// devices returns the names of the host's network devices that bear the mark of the lab; of any lab when it is empty.
func devices(ctx context.Context, lab string) ([]string, error) {
	out, err := run(ctx, "ip", "-json", "link", "show")
	if err != nil {
		return nil, err
	}
	var links []struct {
		Name  string `json:"ifname"`
		Alias string `json:"ifalias"`
	}
	if err := json.Unmarshal(out, &links); err != nil {
		return nil, fmt.Errorf("read network devices: %w", err)
	}
	var names []string
	for _, link := range links {
		if link.Alias == mark(lab) || (lab == "" && strings.HasPrefix(link.Alias, mark(""))) {
			names = append(names, link.Name)
		}
	}
	return names, nil
}

// EnsureHost gives the host its address in the lab and lets the lab's packets through.
func EnsureHost(ctx context.Context, lab string, plan address.Plan) error {
	existing, err := devices(ctx, lab)
	if err != nil {
		return err
	}
	bridge := plan.Bridge()
	if !slices.Contains(existing, bridge) {
		if err := ip(ctx, "link", "add", bridge, "type", "bridge"); err != nil {
			return err
		}
		if err := ip(ctx, "link", "set", bridge, "alias", mark(lab)); err != nil {
			return err
		}
	}
	if err := ip(ctx, "address", "replace", fmt.Sprintf("%s/%d", plan.Gateway(), plan.Nodes().Bits()), "dev", bridge); err != nil {
		return err
	}
	if err := ip(ctx, "link", "set", bridge, "up"); err != nil {
		return err
	}
	for _, setting := range sysctl.Need() {
		if err := setting.Raise(); err != nil {
			return err
		}
	}
	return ensureRules(ctx, lab, plan)
}

// RemoveHost takes away everything that the lab has added to the host's network.
func RemoveHost(ctx context.Context, lab string) error {
	names, err := devices(ctx, lab)
	if err != nil {
		return err
	}
	for _, name := range names {
		// A cable's end may be gone by now: it vanishes with the other end's namespace.
		if err := ip(ctx, "link", "delete", name); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
			return err
		}
	}
	if err := removeRules(ctx, lab); err != nil {
		return err
	}
	others, err := devices(ctx, "")
	if err != nil || len(others) > 0 {
		return err
	}
	for _, setting := range sysctl.Need() {
		err = errors.Join(err, setting.Restore())
	}
	return err
}
