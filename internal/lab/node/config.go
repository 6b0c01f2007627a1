package node

import (
	"encoding/json"
	"fmt"
	"path"
	"syscall"

	"sigs.k8s.io/yaml"

	_ "embed" // for init.sh
)

//go:embed init.sh
var initScript string

// files are the node's configuration, by path below its folder.
func (n *Node) files() map[string]func() ([]byte, error) {
	files := map[string]func() ([]byte, error){
		"containerd.toml":              n.containerd,
		"registry/_default/hosts.toml": n.mirror,
		"cni/10-lab.conflist":          n.network,
		"kubelet.yaml":                 n.kubelet,
		"kube-proxy.yaml":              n.proxy,
		"resolv.conf":                  n.resolver,
	}
	for name, value := range map[string]string{
		"vm.overcommit_memory":      "1",
		"vm.panic_on_oom":           "0",
		"kernel.panic":              "10",
		"kernel.panic_on_oops":      "1",
		"kernel.keys.root_maxkeys":  "1000000",
		"kernel.keys.root_maxbytes": "25000000",
	} {
		files["sysctl/"+name] = func() ([]byte, error) { return []byte(value + "\n"), nil }
	}
	return files
}

const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[1]q
  restrict_oom_score_adj = %[2]t
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[3]q
    conf_dir = %[4]q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %[5]q
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = %[6]q
`

func (n *Node) containerd() ([]byte, error) {
	snapshotter, err := snapshotter(n.Dir())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, containerdConfig, PauseImage, !n.MayAdjustOOM, n.CNI, n.inside("cni"), snapshotter,
		n.inside("registry")), nil
}

// snapshotter is what containerd keeps images with: overlays, unless the folder is on one itself, as inside of a container, where
// the kernel doesn't stack them.
func snapshotter(dir string) (string, error) {
	const overlay = 0x794c7630 // OVERLAYFS_SUPER_MAGIC, statfs(2)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if int64(fs.Type) == overlay {
		return "native", nil
	}
	return "overlayfs", nil
}

// mirror has containerd ask the lab's registry for every image first; what that doesn't have comes from where its name says.
func (n *Node) mirror() ([]byte, error) {
	return fmt.Appendf(nil, "[host.\"http://%s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", n.Registry), nil
}

// network gives each pod a cable of its own to the node. All packets are routed, so that kube-proxy's rules see them without the
// kernel's bridge filter.
func (n *Node) network() ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"cniVersion": "0.4.0",
		"name":       "lab",
		"plugins": []any{
			map[string]any{
				"type": "ptp",
				"ipam": map[string]any{
					"type":   "host-local",
					"ranges": []any{[]any{map[string]any{"subnet": n.Pods.String()}}},
					"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
				},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
		},
	}, "", "  ")
}

func (n *Node) kubelet() ([]byte, error) {
	pki := path.Join(labDir, "pki")
	return yaml.Marshal(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": path.Join(pki, "ca.crt")},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"tlsCertFile":              path.Join(pki, n.Name+"-server.crt"),
		"tlsPrivateKeyFile":        path.Join(pki, n.Name+"-server.key"),
		"address":                  n.Address.String(),
		"clusterDNS":               []string{n.DNS.String()},
		"clusterDomain":            "cluster.local",
		"resolvConf":               n.inside("resolv.conf"),
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               n.Cgroup,
		"failCgroupV1":             false,
		// The lab shares the machine; nothing is reserved for it or for others.
		"enforceNodeAllocatable": []string{"none"},
		// On cgroup v1 the kubelet can't measure file systems.
		"localStorageCapacityIsolation": n.Cgroups.Unified,
		// A full disk is the machine owner's business: a lab that evicts its pods at 85 % helps nobody.
		"evictionHard": map[string]any{
			"memory.available": "50Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
			"imagefs.inodesFree": "0%",
		},
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"failSwapOn":                  false,
		"oomScoreAdj":                 0,
		"maxPods":                     250,
		"serializeImagePulls":         false,
		"volumePluginDir":             "/var/lib/kubelet/volume-plugins",
		"kubeAPIQPS":                  200,
		"kubeAPIBurst":                400,
		"eventRecordQPS":              0,
		"registryPullQPS":             0,
	})
}

func (n *Node) proxy() ([]byte, error) {
	unchanged := map[string]any{ // limits that belong to the whole machine
		"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
	}
	return yaml.Marshal(map[string]any{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "iptables",
		"hostnameOverride":   n.Name,
		"bindAddress":        n.Address.String(),
		"clusterCIDR":        n.Plane.Pods.String(),
		"clientConnection":   map[string]any{"kubeconfig": n.inside("kube-proxy.kubeconfig")},
		"healthzBindAddress": n.Address.String() + ":" + proxyPort,
		"oomScoreAdj":        0,
		"conntrack":          unchanged,
		"iptables":           map[string]any{"minSyncPeriod": "0.1s", "masqueradeAll": false},
	})
}

// resolver is for the node and for pods with dnsPolicy Default: the cluster's DNS, which asks the host's servers.
func (n *Node) resolver() ([]byte, error) {
	return fmt.Appendf(nil, "nameserver %s\n", n.DNS), nil
}
