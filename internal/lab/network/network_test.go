package network

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRouteDestination(t *testing.T) {
	tests := map[string]struct {
		reason string
		want   netip.Prefix
		ok     bool
	}{
		"10.1.0.0/16": {"a network", netip.MustParsePrefix("10.1.0.0/16"), true},
		"10.1.2.3":    {"ip prints single addresses without a length", netip.MustParsePrefix("10.1.2.3/32"), true},
		"default":     {"the default route is in nobody's way", netip.Prefix{}, false},
	}
	for in, tc := range tests {
		t.Run(in, func(t *testing.T) {
			if got, ok := parse(in); got != tc.want || ok != tc.ok {
				t.Errorf("%s: got %s, %t", tc.reason, got, ok)
			}
		})
	}
}

func TestDeletion(t *testing.T) {
	tests := map[string]struct {
		reason string
		line   string
		want   []string
	}{
		"Ours": {
			"the rule is deleted as it was printed, the comment as one word",
			`-A POSTROUTING -s 10.64.0.0/16 ! -d 10.64.0.0/16 -m comment --comment "slipway lab a-1" -j MASQUERADE`,
			[]string{"-D", "POSTROUTING", "-s", "10.64.0.0/16", "!", "-d", "10.64.0.0/16", "-m", "comment", "--comment", "slipway lab a-1", "-j", "MASQUERADE"},
		},
		"AnotherLab": {"a name that begins the same is another lab", `-A FORWARD -m comment --comment "slipway lab a-12" -j ACCEPT`, nil},
		"Foreign":    {"others' rules stay", `-A FORWARD -s 10.64.0.0/16 -j ACCEPT`, nil},
		"Policy":     {"a policy is no rule", `-P FORWARD ACCEPT`, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := deletion(tc.line, mark("a-1"))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
