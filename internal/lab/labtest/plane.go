package labtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/process"
	"github.com/slipway-dev/slipway/internal/lab/program"
)

const (
	// startTimeout is for a machine that runs many tests at once; three seconds are usual.
	startTimeout = 2 * time.Minute
	// buildTimeout is for the first build of Kubernetes on a slow machine; six minutes are usual on two cores.
	buildTimeout = time.Hour
	// attempts is how often a plane is started when its port has been taken in between.
	attempts = 3
)

// plane is a control plane whose components die with this process.
type plane struct {
	control.Plane
	programs   *programs
	components []*process.Tethered
}

func startControlPlane() (*plane, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	programs, err := findPrograms(ctx)
	if err != nil {
		return nil, err
	}
	for range attempts {
		var p *plane
		if p, err = newPlane(programs); err != nil {
			return nil, err
		}
		if err = p.start(ctx, control.Etcd, control.APIServer); err == nil {
			return p, nil
		}
		p.stop()
	}
	return nil, err
}

const folderPrefix = "slipway-labtest-"

func newPlane(programs *programs) (*plane, error) {
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	port, err := control.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	p := &plane{programs: programs, Plane: control.Plane{
		Dir:      dir,
		Address:  netip.MustParseAddr("127.0.0.1"),
		Port:     port,
		Services: netip.MustParsePrefix("10.0.0.0/24"),
		Pods:     netip.MustParsePrefix("10.1.0.0/16"),
		Programs: programs.find,
	}}
	return p, p.Prepare()
}

// sweep removes the folders of test binaries that were killed.
func sweep() {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), folderPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && !process.Alive(n) {
			os.RemoveAll(folder)
		}
	}
}

// start runs components one after the other, each when the one before is ready.
func (p *plane) start(ctx context.Context, components ...string) error {
	for _, name := range components {
		command, err := p.Command(name)
		if err != nil {
			return err
		}
		ready := func(ctx context.Context) error { return p.Ready(ctx, name) }
		if err := p.run(ctx, name, command, ready); err != nil {
			return err
		}
	}
	return nil
}

func (p *plane) run(ctx context.Context, name string, command control.Command, ready func(context.Context) error) error {
	component, err := process.Tether(process.Spec{
		Lab: p.Dir, Name: name, Program: command.Program, Args: command.Args, Dir: command.Dir, Log: command.Log,
	})
	if err != nil {
		return err
	}
	p.components = append(p.components, component)
	var last error
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-component.Done():
			return false, errors.New("it ended")
		default:
			last = ready(ctx)
			return last == nil, nil
		}
	})
	if err != nil {
		return fmt.Errorf("%s did not become ready: %w; the end of its log:\n%s", name, errors.Join(err, last), process.Tail(command.Log, 10))
	}
	return nil
}

func (p *plane) stop() {
	for _, component := range p.components {
		component.Stop()
	}
	os.RemoveAll(p.Dir)
}

// programs are the executables of the planes of this binary.
type programs struct {
	assets     string // folder of KUBEBUILDER_ASSETS; has etcd and kube-apiserver
	kubernetes string
}

func findPrograms(ctx context.Context) (*programs, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return &programs{assets: assets}, nil
	}
	cache, err := program.NewCache()
	if err != nil {
		return nil, err
	}
	kubernetes, err := cache.Get(ctx, program.Kubernetes())
	return &programs{kubernetes: kubernetes}, err
}

func (p *programs) find(component string) (string, []string) {
	if p.assets != "" && (component == control.Etcd || component == control.APIServer) {
		return filepath.Join(p.assets, component), nil
	}
	return p.kubernetes, []string{component}
}
