package node

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"

	"github.com/slipway-dev/slipway/internal/lab/cgroup"
	"github.com/slipway-dev/slipway/internal/lab/configfile"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/pki"
)

// The components of a node, in the order in which they depend on each other.
const (
	Init       = "init"
	Containerd = "containerd"
	Kubelet    = "kubelet"
	Proxy      = "kube-proxy"
)

// PauseImage is the image of the container that holds a pod's namespaces.
const PauseImage = "registry.k8s.io/pause:3.6"

// Node is one real node.
type Node struct {
	// Name is the node's name in Kubernetes.
	Name string
	// Plane is the control plane that it belongs to.
	Plane *control.Plane
	// Kubernetes is the path of the executable with kubelet and kube-proxy.
	Kubernetes string
	// Address is the node's own, Gateway the host's, Pods the range of the node's pods, DNS the ClusterIP of the cluster's DNS.
	Address, Gateway netip.Addr
	Pods             netip.Prefix
	DNS              netip.Addr
	// Registry is the address and port that images are pulled from.
	Registry string
	// Cgroup is the control group of the node's pods, with a leading slash; Cgroups is where it is.
	Cgroup  string
	Cgroups cgroup.Tree
	// CNI is the folder of the host's network plugins.
	CNI string
	// MayAdjustOOM says that processes may be given a smaller chance of being killed when memory runs out, which takes
	// CAP_SYS_RESOURCE.
	MayAdjustOOM bool
}

// Dir is the node's folder on the host.
func (n *Node) Dir() string { return filepath.Join(n.Plane.Dir, "nodes", n.Name) }

// Where init.sh mounts the lab's folder and that of the executable.
const (
	labDir     = "/run/slipway/lab"
	programDir = "/run/slipway/bin"
)

// inside is the path of a file of the node's folder as the node sees it.
func (n *Node) inside(name string) string { return path.Join(labDir, "nodes", n.Name, name) }

// Prepare makes the node's folder, certificates, configuration and control group. Configuration is written anew each time,
// certificates are kept.
func (n *Node) Prepare() error {
	for _, dir := range []string{"lib/containerd", "log", "cni", "registry/_default", "sysctl"} {
		if err := os.MkdirAll(filepath.Join(n.Dir(), dir), 0o755); err != nil {
			return fmt.Errorf("make folder of node %s: %w", n.Name, err)
		}
	}
	for name, content := range n.files() {
		data, err := content()
		if err != nil {
			return fmt.Errorf("configure node %s: %s: %w", n.Name, name, err)
		}
		if err := configfile.Write(filepath.Join(n.Dir(), name), data, 0o644); err != nil {
			return fmt.Errorf("configure node %s: %w", n.Name, err)
		}
	}
	if err := n.identify(); err != nil {
		return fmt.Errorf("certificates of node %s: %w", n.Name, err)
	}
	return n.Cgroups.Ensure(n.Cgroup)
}

// identify makes the certificates of the node's components: the kubelet's as a client and as a server, and kube-proxy's.
func (n *Node) identify() error {
	authority, err := n.Plane.Authority()
	if err != nil {
		return err
	}
	server := pki.Request{Name: n.Name, Hosts: []string{n.Name, n.Address.String()}}
	_, err = authority.Ensure(n.Name+"-server", server)
	return errors.Join(err,
		n.Plane.WriteKubeconfig(filepath.Join(n.Dir(), "kubelet.kubeconfig"), n.Name,
			pki.Request{Name: "system:node:" + n.Name, Groups: []string{"system:nodes"}}),
		n.Plane.WriteKubeconfig(filepath.Join(n.Dir(), "kube-proxy.kubeconfig"), "kube-proxy",
			pki.Request{Name: "system:kube-proxy"}),
	)
}

// Command returns how to run one of the node's components; all but Init run within its namespaces.
func (n *Node) Command(component string) (control.Command, error) {
	lab := path.Join(programDir, filepath.Base(n.Kubernetes))
	commands := map[string]control.Command{
		Init: {Program: "/bin/sh", Args: []string{
			"-euc", initScript, "init", n.Name, n.Plane.Dir, filepath.Dir(n.Kubernetes),
		}},
		Containerd: {Program: "containerd", Args: []string{"--config", n.inside("containerd.toml")}},
		Kubelet: {Program: lab, Args: []string{
			"kubelet", "--config=" + n.inside("kubelet.yaml"), "--kubeconfig=" + n.inside("kubelet.kubeconfig"),
			"--hostname-override=" + n.Name, "--node-ip=" + n.Address.String(), "--cert-dir=/var/lib/kubelet/pki",
		}},
		Proxy: {Program: lab, Args: []string{"kube-proxy", "--config=" + n.inside("kube-proxy.yaml")}},
	}
	command, ok := commands[component]
	if !ok {
		return control.Command{}, fmt.Errorf("a node has no component %q", component)
	}
	command.Dir = n.Plane.Dir
	command.Log = filepath.Join(n.Plane.Dir, "logs", n.Name+"-"+component+".log")
	return command, nil
}
