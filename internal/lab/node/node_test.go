package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/lab/control"
)

func newNode(t *testing.T) *Node {
	t.Helper()
	plane := &control.Plane{
		Name: "lab", Dir: t.TempDir(), Address: netip.MustParseAddr("10.64.0.1"), Port: 6443,
		Services: netip.MustParsePrefix("10.64.16.0/20"), Pods: netip.MustParsePrefix("10.64.128.0/17"),
		Programs: func(component string) (string, []string) { return "/cache/slipway-lab", []string{component} },
	}
	return &Node{
		Name: "worker-1", Plane: plane, Kubernetes: "/cache/slipway-lab",
		Address: netip.MustParseAddr("10.64.0.2"), Gateway: netip.MustParseAddr("10.64.0.1"),
		Pods: netip.MustParsePrefix("10.64.128.0/24"), DNS: netip.MustParseAddr("10.64.16.10"),
		Registry: "10.64.0.1:5000", Cgroup: "/lab/worker-1", CNI: "/usr/lib/cni",
	}
}

func prepare(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Prepare(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, n *Node, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestKubeletConfiguration(t *testing.T) {
	n := newNode(t)
	prepare(t, n)
	var config struct {
		Address, CgroupRoot, CgroupDriver, ContainerRuntimeEndpoint string
		ClusterDNS                                                  []string
		FailCgroupV1, LocalStorageCapacityIsolation                 *bool
		Authentication                                              struct{ Anonymous struct{ Enabled *bool } }
	}
	if err := yaml.Unmarshal([]byte(read(t, n, "kubelet.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"it listens on the node's address":            config.Address == "10.64.0.2",
		"pods are in the lab's control group":         config.CgroupRoot == "/lab/worker-1" && config.CgroupDriver == "cgroupfs",
		"it uses the node's own containerd":           config.ContainerRuntimeEndpoint == "unix:///run/containerd/containerd.sock",
		"pods ask the cluster's DNS":                  slices.Equal(config.ClusterDNS, []string{"10.64.16.10"}),
		"cgroup v1 is no reason to fail":              config.FailCgroupV1 != nil && !*config.FailCgroupV1,
		"v1 can't isolate storage":                    config.LocalStorageCapacityIsolation != nil && !*config.LocalStorageCapacityIsolation,
		"nobody gets in without a client certificate": config.Authentication.Anonymous.Enabled != nil && !*config.Authentication.Anonymous.Enabled,
	} {
		if !ok {
			t.Errorf("not so: %s:\n%s", what, read(t, n, "kubelet.yaml"))
		}
	}
}

func TestContainerdConfiguration(t *testing.T) {
	tests := map[string]struct {
		reason string
		may    bool
		want   string
	}{
		"WithCapability":    {"the kernel allows any score", true, "restrict_oom_score_adj = false"},
		"WithoutCapability": {"else no sandbox would start", false, "restrict_oom_score_adj = true"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.MayAdjustOOM = tc.may
			prepare(t, n)
			config := read(t, n, "containerd.toml")
			for _, want := range []string{tc.want, `bin_dir = "/usr/lib/cni"`, `sandbox_image = "` + PauseImage + `"`} {
				if !strings.Contains(config, want) {
					t.Errorf("%s: %q is missing:\n%s", tc.reason, want, config)
				}
			}
		})
	}
}

func TestImagesComeFromTheLabsRegistryFirst(t *testing.T) {
	n := newNode(t)
	prepare(t, n)
	if got := read(t, n, "registry/_default/hosts.toml"); !strings.Contains(got, `[host."http://10.64.0.1:5000"]`) {
		t.Errorf("got %s", got)
	}
}

func TestComponentsAreWhoTheyShouldBe(t *testing.T) {
	n := newNode(t)
	prepare(t, n)
	for _, file := range []string{"kubelet.kubeconfig", "kube-proxy.kubeconfig"} {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(n.Dir(), file))
		if err != nil {
			t.Fatal(err)
		}
		if config.Host != "https://10.64.0.1:6443" || len(config.CertData) == 0 {
			t.Errorf("%s leads to %s with %d bytes of certificate", file, config.Host, len(config.CertData))
		}
	}
}

func TestPreparingAgainTouchesNothing(t *testing.T) {
	n := newNode(t)
	prepare(t, n)
	before := map[string]int64{}
	for name := range n.files() {
		info, err := os.Stat(filepath.Join(n.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = info.ModTime().UnixNano()
	}
	prepare(t, n)
	for name, was := range before {
		if info, err := os.Stat(filepath.Join(n.Dir(), name)); err != nil || info.ModTime().UnixNano() != was {
			t.Errorf("%s was written again, %v: kube-proxy ends when that happens", name, err)
		}
	}
}

func TestCommands(t *testing.T) {
	n := newNode(t)
	for _, component := range []string{Init, Containerd, Kubelet, Proxy} {
		command, err := n.Command(component)
		if err != nil || command.Program == "" || !strings.HasPrefix(command.Log, n.Plane.Dir) {
			t.Errorf("%s: %+v, %v", component, command, err)
		}
	}
	if _, err := n.Command("docker"); err == nil {
		t.Error("there is a command for an unknown component")
	}
}
