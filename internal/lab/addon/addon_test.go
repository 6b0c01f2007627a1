package addon_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab/addon"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func newSet(t *testing.T) *addon.Set {
	t.Helper()
	return &addon.Set{
		Plane: &control.Plane{
			Name: "lab", Dir: t.TempDir(), Address: netip.MustParseAddr("127.0.0.1"), Port: 6443,
			Services: netip.MustParsePrefix("10.0.0.0/24"),
		},
		Program: "/cache/slipway-addons", Gateway: netip.MustParseAddr("10.64.0.1"), ClusterDNS: netip.MustParseAddr("10.0.0.10"),
		RegistryPort: 5000, DNSPort: 5353, MetricsPort: 4443,
	}
}

func TestCorefile(t *testing.T) {
	tests := map[string]struct {
		reason   string
		upstream []string
		want     string
	}{
		"WithServers":    {"other names are the host's servers' business", []string{"192.0.2.1", "192.0.2.2"}, "forward . 192.0.2.1 192.0.2.2\n"},
		"WithoutServers": {"an empty list would keep CoreDNS from starting", nil, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSet(t)
			s.Upstream = tc.upstream
			if err := s.Prepare(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(s.Plane.Dir, "Corefile"))
			if err != nil {
				t.Fatal(err)
			}
			corefile := string(data)
			if !strings.Contains(corefile, "10.64.0.1 "+addon.HostName) || !strings.Contains(corefile, "bind 10.64.0.1") {
				t.Errorf("pods don't find the host:\n%s", corefile)
			}
			if got := strings.Contains(corefile, "forward"); got != (tc.want != "") || !strings.Contains(corefile, tc.want) {
				t.Errorf("%s:\n%s", tc.reason, corefile)
			}
		})
	}
}

func TestRegistryListensForHostAndNodes(t *testing.T) {
	s := newSet(t)
	command, err := s.Command(addon.Registry)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Join(command.Args, " ")
	if !strings.Contains(line, "--listen 127.0.0.1:5000 --listen 10.64.0.1:5000") {
		t.Errorf("with a gateway: %s", line)
	}
	s.Gateway = netip.Addr{}
	if command, err = s.Command(addon.Registry); err != nil || strings.Count(strings.Join(command.Args, " "), "--listen") != 1 {
		t.Errorf("without: %v, %v", command.Args, err)
	}
	if _, err := s.Command("ingress"); err == nil {
		t.Error("there is a command for an unknown add-on")
	}
}

func TestObjectsAreTakenByAnAPIServer(t *testing.T) {
	env := labtest.ControlPlane(t)
	s := newSet(t)
	for range 2 { // the second time changes nothing
		if err := s.Apply(t.Context(), env.Config); err != nil {
			t.Fatal(err)
		}
	}
	dns, err := env.Clientset(t).CoreV1().Services("kube-system").Get(t.Context(), "kube-dns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ip := dns.Spec.ClusterIP; ip != "10.0.0.10" {
		t.Errorf("the cluster's DNS is at %s, pods ask 10.0.0.10", ip)
	}
}
