package tethered

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

const (
	// startTimeout is for a machine that does many things at once; three seconds are usual.
	startTimeout = 2 * time.Minute
	// attempts is how often a plane is started when its port has been taken in between.
	attempts = 3
)

// Options say what is particular about a plane.
type Options struct {
	// Flags are appended to those of a component, by its name.
	Flags map[string][]string
}

// Plane is a control plane whose components die with this process.
type Plane struct {
	control.Plane
	components map[string]*process.Tethered
	order      []*process.Tethered
}

// Start runs etcd and kube-apiserver. [Programs.Find] finds the executables.
func Start(ctx context.Context, programs *Programs, opts Options) (*Plane, error) {
	var err error
	for range attempts {
		var p *Plane
		if p, err = newPlane(programs, opts); err != nil {
			return nil, err
		}
		if err = p.Run(ctx, control.Etcd, control.APIServer); err == nil {
			return p, nil
		}
		p.Stop()
	}
	return nil, err
}

const folderPrefix = "slipway-tethered-"

func newPlane(programs *Programs, opts Options) (*Plane, error) {
	sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	port, err := control.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	p := &Plane{components: map[string]*process.Tethered{}, Plane: control.Plane{
		Dir:      dir,
		Address:  netip.MustParseAddr("127.0.0.1"),
		Port:     port,
		Services: netip.MustParsePrefix("10.0.0.0/18"),
		Pods:     netip.MustParsePrefix("10.1.0.0/16"),
		Programs: programs.Find,
		Flags:    opts.Flags,
	}}
	return p, p.Prepare()
}

// sweep removes the folders of processes that were killed.
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

// Run starts components of Kubernetes one after the other, each when the one before is ready.
func (p *Plane) Run(ctx context.Context, components ...string) error {
	for _, name := range components {
		command, err := p.Command(name)
		if err != nil {
			return err
		}
		ready := func(ctx context.Context) error { return p.Ready(ctx, name) }
		if err := p.RunBeside(ctx, name, command, ready); err != nil {
			return err
		}
	}
	return nil
}

// RunBeside starts something that belongs to the plane, and returns when it is ready.
func (p *Plane) RunBeside(ctx context.Context, name string, command control.Command, ready func(context.Context) error) error {
	component, err := process.Tether(process.Spec{
		Lab: p.Dir, Name: name, Program: command.Program, Args: command.Args, Dir: command.Dir, Log: command.Log,
	})
	if err != nil {
		return err
	}
	p.components[name] = component
	p.order = append(p.order, component)
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

// Halt kills a component as a machine that fails does. Run starts it again, at the same address and with what etcd has kept.
func (p *Plane) Halt(component string) {
	if c := p.components[component]; c != nil {
		c.Stop()
	}
}

// PID is the process of a component, or 0.
func (p *Plane) PID(component string) int {
	if c := p.components[component]; c != nil {
		return c.PID()
	}
	return 0
}

// Stop kills what runs, the youngest first, and removes the folder.
func (p *Plane) Stop() {
	for _, component := range slices.Backward(p.order) {
		component.Stop()
	}
	os.RemoveAll(p.Dir)
}
