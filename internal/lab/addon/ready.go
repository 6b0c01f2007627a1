package addon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Ready returns nil when the add-on listens. kwok listens nowhere; its caller knows whether it runs.
func (s *Set) Ready(ctx context.Context, component string) error {
	loopback := netip.MustParseAddr("127.0.0.1")
	at := map[string]netip.AddrPort{
		Registry: netip.AddrPortFrom(loopback, uint16(s.RegistryPort)),
		DNS:      netip.AddrPortFrom(s.Gateway, uint16(s.DNSPort)),
		Metrics:  netip.AddrPortFrom(s.Gateway, uint16(s.MetricsPort)),
	}
	address, ok := at[component]
	if !ok {
		return nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(address.Addr().String(), strconv.Itoa(int(address.Port()))))
	if err != nil {
		return fmt.Errorf("%s: %w", component, err)
	}
	return conn.Close()
}
