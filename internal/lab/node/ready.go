package node

import (
	"context"
	"fmt"
	"net"

	"github.com/slipway-dev/slipway/internal/lab/process"
)

// The ports on which kubelet and kube-proxy answer at the node's address.
const (
	kubeletPort = "10250"
	proxyPort   = "10256"
)

// Ready returns nil when the component, whose process is pid, answers.
func (n *Node) Ready(ctx context.Context, component string, pid int) error {
	switch component {
	case Containerd:
		return process.Dial(ctx, fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", pid))
	case Kubelet:
		return n.dial(ctx, kubeletPort)
	case Proxy:
		return n.dial(ctx, proxyPort)
	}
	return nil
}

func (n *Node) dial(ctx context.Context, port string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(n.Address.String(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}
