package addon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/slipway-dev/slipway/internal/lab/configfile"
	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/pki"
)

// The add-ons.
const (
	Registry = "registry"
	DNS      = "coredns"
	Metrics  = "metrics-server"
	Kwok     = "kwok"
)

// HostName is the name by which pods reach the host.
const HostName = "host.slipway.internal"

// Set is the add-ons of one lab.
type Set struct {
	// Plane is the control plane that they belong to.
	Plane *control.Plane
	// Program is the path of the executable.
	Program string
	// Gateway is the host's address as pods see it, where the add-ons listen. Not valid in a lab without real nodes.
	Gateway netip.Addr
	// ClusterDNS is the ClusterIP of the Service kube-dns.
	ClusterDNS netip.Addr
	// RegistryPort, DNSPort and MetricsPort are where the add-ons listen.
	RegistryPort, DNSPort, MetricsPort int
	// Upstream are the name servers for names outside of the cluster.
	Upstream []string
	// SimulatedNodes is how many nodes kwok plays.
	SimulatedNodes int
}

// Prepare writes the configuration and certificates.
func (s *Set) Prepare() error {
	if err := os.MkdirAll(s.path("registry"), 0o755); err != nil {
		return fmt.Errorf("make folder of the registry: %w", err)
	}
	if err := configfile.Write(s.path("Corefile"), []byte(s.corefile()), 0o644); err != nil {
		return fmt.Errorf("configure %s: %w", DNS, err)
	}
	authority, err := s.Plane.Authority()
	if err != nil {
		return err
	}
	_, err = authority.Ensure(Metrics+"-server", pki.Request{
		Name: Metrics, Hosts: []string{Metrics + ".kube-system.svc", Metrics + ".kube-system"},
	})
	return errors.Join(err,
		s.Plane.WriteKubeconfig(s.kubeconfig(DNS), DNS, pki.Request{Name: "system:coredns"}),
		s.Plane.WriteKubeconfig(s.kubeconfig(Metrics), Metrics, pki.Request{Name: "system:metrics-server"}),
		s.Plane.WriteKubeconfig(s.kubeconfig(Kwok), Kwok, pki.Request{Name: "kwok", Groups: []string{"system:masters"}}),
	)
}

func (s *Set) path(name string) string            { return filepath.Join(s.Plane.Dir, name) }
func (s *Set) kubeconfig(component string) string { return s.path("pki/" + component + ".kubeconfig") }

// Command returns how to run an add-on.
func (s *Set) Command(component string) (control.Command, error) {
	flags := map[string]func() []string{
		Registry: s.registry,
		DNS:      func() []string { return []string{"-conf", "Corefile", "-dns.port", strconv.Itoa(s.DNSPort)} },
		Metrics:  s.metrics,
		Kwok: func() []string {
			return []string{"--kubeconfig", s.kubeconfig(Kwok), "--nodes", strconv.Itoa(s.SimulatedNodes)}
		},
	}[component]
	if flags == nil {
		return control.Command{}, fmt.Errorf("no add-on is called %q", component)
	}
	return control.Command{
		Program: s.Program,
		Args:    append([]string{component}, flags()...),
		Dir:     s.Plane.Dir,
		Log:     s.path("logs/" + component + ".log"),
	}, nil
}

func (s *Set) registry() []string {
	flags := []string{"--dir", s.path("registry"), "--listen", s.RegistryAddress()}
	if s.Gateway.IsValid() {
		flags = append(flags, "--listen", net.JoinHostPort(s.Gateway.String(), strconv.Itoa(s.RegistryPort)))
	}
	return flags
}

// RegistryAddress is where the host reaches the registry.
func (s *Set) RegistryAddress() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.RegistryPort))
}

func (s *Set) metrics() []string {
	config := s.kubeconfig(Metrics)
	return []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=" + s.Gateway.String(),
		"--secure-port=" + strconv.Itoa(s.MetricsPort),
		"--cert-dir=" + s.path("pki"),
		"--tls-cert-file=" + s.path("pki/"+Metrics+"-server.crt"),
		"--tls-private-key-file=" + s.path("pki/"+Metrics+"-server.key"),
		"--kubelet-certificate-authority=" + s.path("pki/ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-request-timeout=8s",
		"--metric-resolution=10s", // the least that it takes: an autoscaler's first decision comes two of them after a start
	}
}

// corefile answers for the cluster and the host and leaves the rest to the host's servers.
func (s *Set) corefile() string {
	forward := ""
	if len(s.Upstream) > 0 {
		forward = "    forward ."
		for _, server := range s.Upstream {
			forward += " " + server
		}
		forward += "\n"
	}
	return fmt.Sprintf(`. {
    bind %[1]s
    errors
    hosts {
        %[1]s %[2]s
        fallthrough
    }
    cache 10
    kubernetes cluster.local in-addr.arpa {
        kubeconfig %[3]q
        pods insecure
        fallthrough in-addr.arpa
        ttl 5
    }
%[4]s}
`, s.Gateway, HostName, s.kubeconfig(DNS), forward)
}
