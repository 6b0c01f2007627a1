package control_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/internal/lab/control"
)

func newPlane(t *testing.T, address string) *control.Plane {
	t.Helper()
	return &control.Plane{
		Name: "lab", Dir: t.TempDir(), Address: netip.MustParseAddr(address), Port: 6443,
		Services: netip.MustParsePrefix("10.64.16.0/20"), Pods: netip.MustParsePrefix("10.64.128.0/17"),
		Programs: func(component string) (string, []string) { return "slipway-lab", []string{component} },
	}
}

func flags(t *testing.T, plane *control.Plane, component string) []string {
	t.Helper()
	command, err := plane.Command(component)
	if err != nil {
		t.Fatal(err)
	}
	if command.Args[0] != component || command.Dir != plane.Dir || !strings.HasPrefix(command.Log, plane.Dir) {
		t.Errorf("%s runs as %+v", component, command)
	}
	return command.Args
}

func TestOnlyItsOwnAPIServerReachesEtcd(t *testing.T) {
	plane := newPlane(t, "10.64.0.1")
	for _, flag := range flags(t, plane, control.Etcd) {
		if name, value, ok := strings.Cut(flag, "="); ok && strings.HasSuffix(name, "-urls") && !strings.HasPrefix(value, "unix://") {
			t.Errorf("etcd listens beyond its socket: %s", flag)
		}
	}
	if !slices.ContainsFunc(flags(t, plane, control.APIServer), func(flag string) bool {
		return strings.HasPrefix(flag, "--etcd-servers=unix://") && !strings.Contains(flag, ",")
	}) {
		t.Error("the API server uses something else than the socket")
	}
}

func TestServiceKubernetesLeadsNowhereFromALoopback(t *testing.T) {
	const off = "--endpoint-reconciler-type=none"
	for address, want := range map[string]bool{"127.0.0.1": true, "10.64.0.1": false} {
		if got := slices.Contains(flags(t, newPlane(t, address), control.APIServer), off); got != want {
			t.Errorf("at %s the reconciler of its endpoints is off: %t, want %t", address, got, want)
		}
	}
}

func TestPreparedPlaneHasAnAdministrator(t *testing.T) {
	plane := newPlane(t, "10.64.0.1")
	for range 2 { // the second time nothing changes
		if err := plane.Prepare(); err != nil {
			t.Fatal(err)
		}
	}
	config, err := plane.Config()
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://10.64.0.1:6443" || len(config.CertData) == 0 || len(config.CAData) == 0 {
		t.Errorf("it leads to %s, with %d bytes of certificate", config.Host, len(config.CertData))
	}
	if err := plane.Ready(t.Context(), control.Etcd); err == nil {
		t.Error("etcd is ready without running")
	}
	if _, err := plane.Command("kubelet"); err == nil {
		t.Error("a control plane has a kubelet")
	}
}

func TestFreePortIsNotOneOfOutgoingConnections(t *testing.T) {
	const firstOutgoing = 32768 // of Linux, unless configured otherwise
	for range 50 {
		port, err := control.FreePort("127.0.0.1")
		if err != nil || port < 1024 || port >= firstOutgoing {
			t.Fatalf("got port %d, %v", port, err)
		}
	}
}
