package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/slipway-dev/slipway/internal/lab/addon"
	"github.com/slipway-dev/slipway/internal/lab/cgroup"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/network"
	"github.com/slipway-dev/slipway/internal/lab/node"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

// component is one process of a lab.
type component struct {
	// name is what status and logs call it.
	name string
	// command is how it runs.
	command func() (control.Command, error)
	// host is the name of the component whose namespaces it lives in; empty: the host's.
	host string
	// isolated says that it has namespaces of its own.
	isolated bool
	// env is added to its environment.
	env []string
	// ready returns nil when it answers. nil: it is ready when it runs.
	ready func(ctx context.Context, pid int) error
}

// phases returns the lab's components. Those of one phase may start at the same time, when all of the phases before are ready.
func (l *Lab) phases() ([][]component, error) {
	plane, addons := l.plane(), l.addons()
	first := []component{l.planeComponent(plane, control.Etcd)}
	second := []component{l.planeComponent(plane, control.APIServer)}
	third := []component{l.planeComponent(plane, control.ControllerManager), l.planeComponent(plane, control.Scheduler)}
	switch l.record.Nodes {
	case Simulated:
		third = append(third, addonComponent(addons, addon.Kwok))
	case Real:
		first = append(first, addonComponent(addons, addon.Registry))
		third = append(third, addonComponent(addons, addon.DNS), addonComponent(addons, addon.Metrics))
		nodes, err := l.nodes()
		if err != nil {
			return nil, err
		}
		for i, n := range nodes {
			first = append(first, l.initComponent(n, i))
			second = append(second, nodeComponent(n, node.Containerd))
			third = append(third, nodeComponent(n, node.Kubelet), nodeComponent(n, node.Proxy))
		}
	}
	return [][]component{first, second, third}, nil
}

func (l *Lab) planeComponent(plane *control.Plane, name string) component {
	return component{
		name:    name,
		command: func() (control.Command, error) { return plane.Command(name) },
		ready:   func(ctx context.Context, _ int) error { return plane.Ready(ctx, name) },
	}
}

func addonComponent(addons *addon.Set, name string) component {
	return component{
		name:    name,
		command: func() (control.Command, error) { return addons.Command(name) },
		ready:   func(ctx context.Context, _ int) error { return addons.Ready(ctx, name) },
	}
}

// initComponent is the process that holds a node's namespaces. It is ready when the node is connected.
func (l *Lab) initComponent(n *node.Node, i int) component {
	return component{
		name:     n.Name + "/" + node.Init,
		command:  func() (control.Command, error) { return n.Command(node.Init) },
		isolated: true,
		ready: func(ctx context.Context, pid int) error {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/slipway/up", pid)); err != nil {
				return err
			}
			return network.EnsureNode(ctx, l.id(), l.plan(), i, l.record.Workers, pid)
		},
	}
}

func nodeComponent(n *node.Node, name string) component {
	c := component{
		name:    n.Name + "/" + name,
		command: func() (control.Command, error) { return n.Command(name) },
		host:    n.Name + "/" + node.Init,
		ready:   func(ctx context.Context, pid int) error { return n.Ready(ctx, name, pid) },
	}
	if name == node.Containerd {
		c.env = proxies(n)
	}
	return c
}

// proxies are the caller's HTTP proxies, by which containerd may reach registries outside, but not the lab's own.
func proxies(n *node.Node) []string {
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	if len(env) == 0 {
		return nil
	}
	direct := []string{os.Getenv("NO_PROXY"), os.Getenv("no_proxy"), "localhost", "127.0.0.1", n.Gateway.String(), ".svc", ".cluster.local"}
	return append(env, "NO_PROXY="+strings.Trim(strings.Join(direct, ","), ","))
}

// nodeNames are the names of the lab's nodes in Kubernetes; kwok chooses those of simulated ones.
func (l *Lab) nodeNames() []string {
	var names []string
	for i := range l.record.Workers {
		switch l.record.Nodes {
		case Real:
			names = append(names, "worker-"+strconv.Itoa(i+1))
		case Simulated:
			names = append(names, "sim-"+strconv.Itoa(i))
		}
	}
	return names
}

// nodes describes the lab's real nodes.
func (l *Lab) nodes() ([]*node.Node, error) {
	if l.record.Nodes != Real {
		return nil, nil
	}
	groups, err := cgroup.Mounted()
	if err != nil {
		return nil, err
	}
	plan, plane := l.plan(), l.plane()
	var nodes []*node.Node
	for i, name := range l.nodeNames() {
		nodes = append(nodes, &node.Node{
			Name:         name,
			Plane:        plane,
			Kubernetes:   l.record.Kubernetes,
			Address:      plan.Node(i),
			Gateway:      plan.Gateway(),
			Pods:         plan.PodsOf(i),
			DNS:          plan.DNS(),
			Registry:     l.registryForNodes(),
			Cgroup:       l.cgroup() + "/" + name,
			Cgroups:      groups,
			CNI:          pluginFolder(),
			MayAdjustOOM: process.MayAdjustOOM(),
		})
	}
	return nodes, nil
}

// cgroup is the control group of the lab's pods.
func (l *Lab) cgroup() string { return "/slipway-" + l.id() }
