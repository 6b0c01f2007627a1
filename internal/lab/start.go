package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

// poll is how often a component that starts is asked whether it is ready.
const poll = 25 * time.Millisecond

// appearance is how long a process that was started may take to bear its own name: nsenter and setsid come before it.
const appearance = 5 * time.Second

// logTail is how many lines of a component's log an error shows.
const logTail = 10

// start runs the components of a phase that don't run, and waits until all of the phase are ready.
func (l *Lab) start(ctx context.Context, phase []component) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range phase {
		group.Go(func() error {
			if err := l.ensure(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// A component that was killed keeps its ports for a moment after its process can't be seen any more, while the kernel takes it apart.
const (
	portPatience = 10 * time.Second
	portPause    = 100 * time.Millisecond
)

// errEnded is why a component that has ended is not ready.
var errEnded = errors.New("it ended")

// ensure has one component run and waits until it is ready. One that ends because its port is still taken is started again.
func (l *Lab) ensure(ctx context.Context, c component) error {
	command, err := c.command()
	if err != nil {
		return err
	}
	var last error
	_ = wait.PollUntilContextTimeout(ctx, portPause, portPatience, true, func(context.Context) (bool, error) {
		last = l.launch(ctx, c, command)
		return !errors.Is(last, errEnded) || !strings.Contains(last.Error(), syscall.EADDRINUSE.Error()), nil
	})
	if last == nil {
		return ctx.Err()
	}
	return last
}

// launch starts a component if it doesn't run, and waits until it is ready. The error shows the end of its log.
func (l *Lab) launch(ctx context.Context, c component, command control.Command) error {
	p, running, err := l.find(c.name)
	if err != nil {
		return err
	}
	if !running {
		spec := process.Spec{
			Lab: l.dir, Name: c.name, Program: command.Program, Args: command.Args, Dir: command.Dir, Log: command.Log,
			Env: c.env, Isolated: c.isolated,
		}
		if spec.Within, err = l.within(c); err != nil {
			return err
		}
		if err := process.Start(ctx, spec); err != nil {
			return err
		}
		if p, err = l.await(ctx, c.name); err != nil {
			return fmt.Errorf("%w; the end of %s:\n%s", err, command.Log, process.Tail(command.Log, logTail))
		}
	}
	if err := awaitReady(ctx, c, p); err != nil {
		return fmt.Errorf("%w; the end of %s:\n%s", err, command.Log, process.Tail(command.Log, logTail))
	}
	return nil
}

// within returns the process whose namespaces the component lives in; 0 for the host's.
func (l *Lab) within(c component) (int, error) {
	if c.host == "" {
		return 0, nil
	}
	host, running, err := l.find(c.host)
	if err == nil && !running {
		err = fmt.Errorf("%s has ended", c.host)
	}
	return host.PID, err
}

// find returns the process of a component, if it runs.
func (l *Lab) find(name string) (process.Process, bool, error) {
	running, err := process.Find(l.dir)
	for _, p := range running {
		if p.Name == name {
			return p, true, nil
		}
	}
	return process.Process{}, false, err
}

// await waits for the process of a component that was just started.
func (l *Lab) await(ctx context.Context, name string) (found process.Process, err error) {
	err = wait.PollUntilContextTimeout(ctx, poll, appearance, true, func(context.Context) (running bool, err error) {
		found, running, err = l.find(name)
		return running, err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w at once", errEnded)
	}
	return found, err
}

// awaitReady waits until a component answers, or has ended.
func awaitReady(ctx context.Context, c component, p process.Process) error {
	if c.ready == nil {
		return nil
	}
	var last error
	err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		if !process.Alive(p.PID) {
			return false, errEnded
		}
		last = c.ready(ctx, p.PID)
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w; it is not ready: %w", err, last)
	}
	return err
}
