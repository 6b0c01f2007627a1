package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/lab/addon"
	"github.com/slipway-dev/slipway/internal/lab/address"
	"github.com/slipway-dev/slipway/internal/lab/control"
)

// ErrNotFound says that there is no lab of that name.
var ErrNotFound = errors.New("no such lab")

// Lab is a cluster on this machine.
type Lab struct {
	dir    string
	record record
}

// Open returns the lab of that name, whether its processes run or not.
func Open(name string) (*Lab, error) {
	labs, err := folder()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = DefaultName
	}
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("lab %q: %w: no lab can have that name", name, ErrNotFound)
	}
	l := &Lab{dir: filepath.Join(labs, name)}
	l.record, err = readRecord(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab %q: %w: slipway up --name %s makes one", name, ErrNotFound, name)
	}
	return l, err
}

// List returns the names of this user's labs.
func List() ([]string, error) {
	labs, err := folder()
	if err != nil {
		return nil, err
	}
	return names(labs)
}

// Name of the lab.
func (l *Lab) Name() string { return l.record.Name }

// Dir is the folder that holds everything of the lab.
func (l *Lab) Dir() string { return l.dir }

// Nodes says what the lab's nodes are.
func (l *Lab) Nodes() Nodes { return l.record.Nodes }

// Version of Kubernetes, with a leading v.
func (l *Lab) Version() string { return l.record.Version }

// Kubeconfig is the path of the administrator's kubeconfig.
func (l *Lab) Kubeconfig() string { return l.plane().Kubeconfig() }

// Config is the administrator's client configuration.
func (l *Lab) Config() (*rest.Config, error) { return l.plane().Config() }

// Registry is the address and port at which the host pushes images; empty without real nodes.
func (l *Lab) Registry() string {
	if l.record.Nodes != Real {
		return ""
	}
	return l.addons().RegistryAddress()
}

// Gateway is the host's address as pods see it, by which they reach what the host runs; not valid without real nodes. Pods know
// it by the name HostName, too.
func (l *Lab) Gateway() netip.Addr {
	if l.record.Nodes != Real {
		return netip.Addr{}
	}
	return l.plan().Gateway()
}

// HostName is the name by which pods of a real lab reach the host.
const HostName = addon.HostName

// id tells the lab from every other one on the machine, also from those of other users and folders.
func (l *Lab) id() string {
	sum := sha256.Sum256([]byte(l.dir))
	return filepath.Base(l.dir) + "-" + hex.EncodeToString(sum[:3])
}

func (l *Lab) plan() address.Plan { return address.Plan{Slot: l.record.Slot} }

// plane describes the control plane. Nodes and pods reach it at the gateway; without them it stays on the loopback.
func (l *Lab) plane() *control.Plane {
	plan := l.plan()
	p := &control.Plane{
		Name:     l.record.Name,
		Dir:      l.dir,
		Address:  netip.MustParseAddr("127.0.0.1"),
		Port:     l.record.Ports.APIServer,
		Services: plan.Services(),
		Pods:     plan.Pods(),
		Programs: func(component string) (string, []string) { return l.record.Kubernetes, []string{component} },
	}
	if l.record.Nodes == Real {
		p.Address = plan.Gateway()
	}
	return p
}

func (l *Lab) addons() *addon.Set {
	s := &addon.Set{
		Plane:        l.plane(),
		Program:      l.record.Addons,
		RegistryPort: l.record.Ports.Registry,
		DNSPort:      l.record.Ports.DNS,
		MetricsPort:  l.record.Ports.Metrics,
		ClusterDNS:   l.plan().DNS(),
	}
	if l.record.Nodes == Real {
		s.Gateway = l.plan().Gateway()
	}
	if l.record.Nodes == Simulated {
		s.SimulatedNodes = l.record.Workers
	}
	return s
}

// registryForNodes is the address and port at which nodes pull images.
func (l *Lab) registryForNodes() string {
	return net.JoinHostPort(l.plan().Gateway().String(), strconv.Itoa(l.record.Ports.Registry))
}
