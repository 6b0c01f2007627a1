package control

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/slipway/internal/lab/configfile"
	"github.com/slipway-dev/slipway/internal/lab/pki"
)

// The components of a control plane, in the order in which they depend on each other.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// Plane is a control plane.
type Plane struct {
	// Name is the cluster's name in kubeconfigs.
	Name string
	// Dir holds everything that the plane writes, and is the working folder of its components.
	Dir string
	// Address and Port are where the API server listens.
	Address netip.Addr
	Port    int
	// Services is the range of ClusterIPs, Pods that of pods.
	Services, Pods netip.Prefix
	// Programs finds the executables.
	Programs Programs
	// Flags are appended to those of a component, by its name.
	Flags map[string][]string
}

// Programs returns the executable of a component and the arguments that come before the component's own.
type Programs func(component string) (path string, args []string)

// Command is how to run a component: with Dir as the working folder.
type Command struct {
	Program string
	Args    []string
	Dir     string
	Log     string
}

// Prepare makes the folder, the certificates and the kubeconfigs. What is there stays as it is.
func (p *Plane) Prepare() error {
	authority, err := p.Authority()
	if err != nil {
		return err
	}
	for file, request := range p.requests() {
		pair, err := authority.Ensure(file, request)
		if err != nil {
			return err
		}
		if file == serviceAccounts {
			err = p.writePublicKey(pair)
		}
		if err != nil {
			return err
		}
	}
	for file, path := range map[string]string{
		admin:             p.Kubeconfig(),
		ControllerManager: p.kubeconfigOf(ControllerManager),
		Scheduler:         p.kubeconfigOf(Scheduler),
	} {
		if err := p.WriteKubeconfig(path, file, p.requests()[file]); err != nil {
			return err
		}
	}
	return nil
}

// Names of certificates.
const (
	admin           = "admin"
	serviceAccounts = "service-accounts"
	kubeletClient   = "kube-apiserver-kubelet-client"
	frontProxy      = "front-proxy"
)

func (p *Plane) requests() map[string]pki.Request {
	return map[string]pki.Request{
		APIServer: {Name: APIServer, Hosts: []string{
			"localhost", "127.0.0.1", p.Address.String(), p.serviceIP().String(),
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}},
		admin:             {Name: "slipway-lab", Groups: []string{"system:masters"}},
		ControllerManager: {Name: "system:" + ControllerManager},
		Scheduler:         {Name: "system:" + Scheduler},
		kubeletClient:     {Name: kubeletClient, Groups: []string{"system:masters"}},
		frontProxy:        {Name: frontProxy},
		serviceAccounts:   {Name: serviceAccounts},
	}
}

// serviceIP is the ClusterIP of the Service kubernetes: the first of the range.
func (p *Plane) serviceIP() netip.Addr { return p.Services.Masked().Addr().Next() }

// Authority signs everything in the cluster. Requests that the API server passes on to aggregated APIs are signed by it too,
// and told from other clients by their common name.
func (p *Plane) Authority() (*pki.Authority, error) {
	return pki.Open(filepath.Join(p.Dir, "pki"), "slipway-lab-"+cmp.Or(p.Name, "test"))
}

// URL is where clients reach the API server.
func (p *Plane) URL() string {
	return "https://" + net.JoinHostPort(p.Address.String(), strconv.Itoa(p.Port))
}

// WriteKubeconfig writes a kubeconfig for the user of a client certificate to path, unless it is there.
func (p *Plane) WriteKubeconfig(path, file string, request pki.Request) error {
	authority, err := p.Authority()
	if err != nil {
		return err
	}
	pair, err := authority.Ensure(file, request)
	if err != nil {
		return err
	}
	data, err := authority.Kubeconfig("slipway-"+cmp.Or(p.Name, "test"), p.URL(), pair)
	if err != nil {
		return err
	}
	return configfile.Write(path, data, 0o600)
}

func (p *Plane) writePublicKey(pair pki.Pair) error {
	data, err := pair.PublicKey()
	if err != nil {
		return err
	}
	return configfile.Write(p.publicKey(), data, 0o644)
}

func (p *Plane) publicKey() string       { return filepath.Join(p.Dir, "pki", serviceAccounts+".pub") }
func (p *Plane) cert(file string) string { return filepath.Join("pki", file+".crt") }
func (p *Plane) key(file string) string  { return filepath.Join("pki", file+".key") }
func (p *Plane) log(component string) string {
	return filepath.Join(p.Dir, "logs", component+".log")
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (p *Plane) Kubeconfig() string { return filepath.Join(p.Dir, "kubeconfig") }

func (p *Plane) kubeconfigOf(component string) string {
	return filepath.Join(p.Dir, "pki", component+".kubeconfig")
}

// Config is the administrator's, without limits on the client's side: the API server knows how to defend itself.
func (p *Plane) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.QPS = -1
	return config, nil
}
