package control

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
)

// Command returns how to run one of the plane's components.
func (p *Plane) Command(component string) (Command, error) {
	flags := map[string]func() []string{
		Etcd:              p.etcd,
		APIServer:         p.apiServer,
		ControllerManager: p.controllerManager,
		Scheduler:         p.scheduler,
	}[component]
	if flags == nil {
		return Command{}, fmt.Errorf("a control plane has no component %q", component)
	}
	program, args := p.Programs(component)
	return Command{Program: program, Args: slices.Concat(args, flags(), p.Flags[component]), Dir: p.Dir, Log: p.log(component)}, nil
}

// The sockets' names are relative to the plane's folder, as a socket's path may have 107 bytes only. The zero looks like a port:
// etcd wants one even there.
const (
	etcdClients = "unix://etcd.sock:0"
	etcdPeers   = "unix://etcd-peers.sock:0"
)

func (p *Plane) etcd() []string {
	return []string{
		"--name=lab",
		"--data-dir=etcd",
		"--listen-client-urls=" + etcdClients,
		"--advertise-client-urls=" + etcdClients,
		"--listen-peer-urls=" + etcdPeers,
		"--initial-advertise-peer-urls=" + etcdPeers,
		"--initial-cluster=lab=" + etcdPeers,
		"--heartbeat-interval=10", "--election-timeout=100", // alone it needs no patience to elect itself
		"--unsafe-no-fsync", // a lab that loses power is made anew
		"--quota-backend-bytes=4294967296",
		"--auto-compaction-retention=15m",
		"--log-level=warn",
	}
}

func (p *Plane) apiServer() []string {
	flags := []string{
		"--etcd-servers=" + etcdClients,
		"--bind-address=" + p.Address.String(),
		"--secure-port=" + strconv.Itoa(p.Port),
		"--advertise-address=" + p.Address.String(),
		"--cert-dir=pki",
		"--tls-cert-file=" + p.cert(APIServer),
		"--tls-private-key-file=" + p.key(APIServer),
		"--client-ca-file=" + p.cert("ca"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + p.Services.String(),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + filepath.Join("pki", serviceAccounts+".pub"),
		"--service-account-signing-key-file=" + p.key(serviceAccounts),
		"--kubelet-client-certificate=" + p.cert(kubeletClient),
		"--kubelet-client-key=" + p.key(kubeletClient),
		"--kubelet-certificate-authority=" + p.cert("ca"),
		"--kubelet-preferred-address-types=InternalIP", // nodes' names are in no DNS
		"--requestheader-client-ca-file=" + p.cert("ca"),
		"--requestheader-allowed-names=" + frontProxy,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p.cert(frontProxy),
		"--proxy-client-key-file=" + p.key(frontProxy),
		"--enable-aggregator-routing=true", // straight to the endpoints: no kube-proxy beside the API server
		"--profiling=false",
	}
	if p.Address.IsLoopback() {
		// The Service kubernetes can't lead to a loopback address, and nobody is there to use it.
		flags = append(flags, "--endpoint-reconciler-type=none")
	}
	return flags
}

func (p *Plane) controllerManager() []string {
	return []string{
		"--kubeconfig=" + p.kubeconfigOf(ControllerManager),
		"--authentication-kubeconfig=" + p.kubeconfigOf(ControllerManager),
		"--authorization-kubeconfig=" + p.kubeconfigOf(ControllerManager),
		"--leader-elect=false",
		"--secure-port=0",
		"--cluster-name=" + p.Name,
		"--cluster-cidr=" + p.Pods.String(),
		"--service-cluster-ip-range=" + p.Services.String(),
		"--allocate-node-cidrs=false", // the lab gives each node its range itself
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + p.key(serviceAccounts),
		"--root-ca-file=" + p.cert("ca"),
		"--cluster-signing-cert-file=" + p.cert("ca"),
		"--cluster-signing-key-file=" + p.key("ca"),
		"--kube-api-qps=200", "--kube-api-burst=400",
		// With one or a few nodes nobody needs to wait for a slow verdict.
		"--horizontal-pod-autoscaler-sync-period=5s",
		"--profiling=false",
	}
}

func (p *Plane) scheduler() []string {
	return []string{
		"--kubeconfig=" + p.kubeconfigOf(Scheduler),
		"--authentication-kubeconfig=" + p.kubeconfigOf(Scheduler),
		"--authorization-kubeconfig=" + p.kubeconfigOf(Scheduler),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	}
}
