package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipway-dev/slipway/internal/lab/lockfile"
	"github.com/slipway-dev/slipway/internal/lab/network"
	"github.com/slipway-dev/slipway/internal/lab/program"
)

// Up makes a lab, or starts what is missing of the one that has this name; nothing when nothing is. It returns when the lab is
// ready: its API answers, its components run, its nodes are Ready.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	labs, err := folder()
	if err != nil {
		return nil, err
	}
	lock, err := lockfile.Acquire(ctx, lockPath(labs, o.Name))
	if err != nil {
		return nil, lockError(o.Name, err)
	}
	defer lock.Release()
	l, err := Open(o.Name)
	if errors.Is(err, ErrNotFound) {
		l, err = create(ctx, filepath.Join(labs, o.Name), o)
	}
	if err != nil {
		return nil, err
	}
	if err := l.agrees(o); err != nil {
		return nil, err
	}
	return l, l.up(ctx, o)
}

// lockPath is beside the lab's folder, as that comes and goes.
func lockPath(labs, name string) string { return filepath.Join(labs, "."+name+".lock") }

// agrees refuses options that the existing lab doesn't have.
func (l *Lab) agrees(o Options) error {
	again := fmt.Sprintf("remove it with slipway down --name %s first, or choose another name", l.Name())
	if o.Nodes != "" && o.Nodes != l.record.Nodes {
		return fmt.Errorf("lab %s exists with nodes %s, not %s: %s", l.Name(), l.record.Nodes, o.Nodes, again)
	}
	if o.Workers != 0 && o.Workers != l.record.Workers {
		return fmt.Errorf("lab %s exists with %d workers, not %d: %s", l.Name(), l.record.Workers, o.Workers, again)
	}
	return nil
}

// up brings a lab that has a record to life.
func (l *Lab) up(ctx context.Context, o Options) error {
	if l.record.Complete && (o.Install == nil || l.record.Installed) {
		if status, err := l.Status(ctx); err == nil && status.Healthy() {
			return nil
		}
	}
	if err := l.programs(ctx, o.Progress); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeoutCause(ctx, o.Wait,
		fmt.Errorf("the lab was not ready within %s: slipway status --name %s shows what is missing", o.Wait, l.Name()))
	defer cancel()
	for _, step := range l.steps(o) {
		done := o.Progress.Step(step.text)
		err := step.do(waiting)
		if cause := context.Cause(waiting); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		done(err)
		if err != nil {
			return fmt.Errorf("%s: %w", step.doing, err)
		}
	}
	return nil
}

// step is one part of bringing a lab up.
type step struct {
	text  string // for a person who watches
	doing string // for the error
	do    func(context.Context) error
}

func (l *Lab) steps(o Options) []step {
	steps := []step{
		{"Folder, certificates and network", "prepare the lab", l.prepare},
		{"Storage" + l.forReal(", registry and node namespaces"), "start storage", l.phase(0)},
		{"API server" + l.forReal(" and container runtime"), "start the API server", l.phase(1)},
	}
	if l.record.Nodes == Real {
		steps = append(steps, step{"Pause image and cluster add-ons", "set up add-ons", l.equip})
	}
	steps = append(steps, step{"Controllers, scheduler" + l.forReal(", kubelet, proxy, DNS, metrics"), "start controllers", l.phase(2)})
	if l.record.Nodes != None {
		steps = append(steps, step{l.nodesReady(), "wait for nodes", l.awaitNodes})
	}
	steps = append(steps, step{"Health", "check the lab", l.complete})
	if o.Install != nil && !l.record.Installed {
		steps = append(steps, step{"Slipway", "install Slipway", func(ctx context.Context) error {
			if err := o.Install(ctx, l); err != nil {
				return err
			}
			l.record.Installed = true
			return l.record.write(l.dir)
		}})
	}
	return steps
}

func (l *Lab) forReal(text string) string {
	if l.record.Nodes == Real {
		return text
	}
	return ""
}

func (l *Lab) nodesReady() string {
	if l.record.Workers == 1 {
		return "1 " + string(l.record.Nodes) + " node Ready"
	}
	return fmt.Sprintf("%d %s nodes Ready", l.record.Workers, l.record.Nodes)
}

// prepare writes all files and makes what the nodes stand on.
func (l *Lab) prepare(ctx context.Context) error {
	if err := l.plane().Prepare(); err != nil {
		return err
	}
	switch l.record.Nodes {
	case Simulated:
		return l.addons().Prepare()
	case Real:
		return l.prepareReal(ctx)
	}
	return nil
}

func (l *Lab) prepareReal(ctx context.Context) error {
	if err := network.EnsureHost(ctx, l.id(), l.plan()); err != nil {
		return err
	}
	addons := l.addons()
	addons.Upstream = nameServers()
	if err := addons.Prepare(); err != nil {
		return err
	}
	nodes, err := l.nodes()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := n.Prepare(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) phase(i int) func(context.Context) error {
	return func(ctx context.Context) error {
		phases, err := l.phases()
		if err != nil {
			return err
		}
		return l.start(ctx, phases[i])
	}
}

// equip gives the cluster what its nodes need to run pods: the pause image, and the Services of the add-ons.
func (l *Lab) equip(ctx context.Context) error {
	if err := l.pushPause(ctx); err != nil {
		return err
	}
	config, err := l.Config()
	if err != nil {
		return err
	}
	return l.addons().Apply(ctx, config)
}

// mends is how often what has ended is started again before up gives up.
const mends = 3

// complete checks that everything that was started still runs, and notes that the lab is whole. What has ended right after it was ready is
// started again, as the next up would.
func (l *Lab) complete(ctx context.Context) error {
	for try := 0; ; try++ {
		status, err := l.Status(ctx)
		if err != nil {
			return err
		}
		problems := status.Problems()
		if len(problems) == 0 {
			break
		}
		if try == mends {
			return fmt.Errorf("not everything runs: %s", strings.Join(problems, "; "))
		}
		phases, err := l.phases()
		if err != nil {
			return err
		}
		for _, phase := range phases {
			if err := l.start(ctx, phase); err != nil {
				return err
			}
		}
	}
	if l.record.Complete {
		return nil
	}
	l.record.Complete = true
	return l.record.write(l.dir)
}

// programs has the executables at hand. A lab keeps those that it was made with as long as they are there.
func (l *Lab) programs(ctx context.Context, progress Progress) error {
	cache, err := program.NewCache(program.WithProgress(progress.Build))
	if err != nil {
		if exists(l.record.Kubernetes) && (l.record.Nodes == None || exists(l.record.Addons)) {
			return nil
		}
		return err
	}
	before := l.record
	if !exists(l.record.Kubernetes) {
		if l.record.Kubernetes, err = cache.Get(ctx, program.Kubernetes()); err != nil {
			return err
		}
		if l.record.Version, err = cache.Version(program.Kubernetes()); err != nil {
			return err
		}
	}
	if l.record.Nodes != None && !exists(l.record.Addons) {
		if l.record.Addons, err = cache.Get(ctx, program.Addons()); err != nil {
			return err
		}
	}
	if l.record == before {
		return nil
	}
	return l.record.write(l.dir)
}

func exists(path string) bool {
	_, err := os.Stat(cmp.Or(path, "/nowhere"))
	return err == nil
}

// lockError tells a lock that another command holds from one that can't even be tried.
func lockError(name string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("another command works on lab %s: %w", name, err)
	}
	return fmt.Errorf("labs can't be kept here: %w; set SLIPWAY_HOME to a folder that you may write to", err)
}
