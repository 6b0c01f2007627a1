package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

// Start runs the component detached from the caller.
//
// Within another process's namespaces it is started by nsenter and setsid of util-linux: setsid forks, so that the component's
// parent is the init of those namespaces, which reaps it.
func Start(ctx context.Context, s Spec) error {
	if err := start(ctx, s); err != nil {
		return fmt.Errorf("start %s: %w", s.Name, err)
	}
	return nil
}

func start(ctx context.Context, s Spec) error {
	log, err := openLog(s.Log)
	if err != nil {
		return err
	}
	defer log.Close()
	if s.Within != 0 {
		enter := []string{"-t", strconv.Itoa(s.Within), "-m", "-n", "-p", "-u", "-i", "--", "setsid", "--fork", s.Program}
		cmd := exec.CommandContext(ctx, "nsenter", append(enter, s.Args...)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = s.environment(), log, log
		return cmd.Run()
	}
	// Not CommandContext: the component is to go on when ctx ends.
	cmd := s.command(log)
	cmd.SysProcAttr.Setsid = true
	if s.Isolated {
		cmd.SysProcAttr.Cloneflags = namespaces
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps it should it end while the caller lives; its fate is read from /proc
	return nil
}

func (s Spec) command(log *os.File) *exec.Cmd {
	cmd := exec.Command(s.Program, s.Args...)
	cmd.Dir, cmd.Env = s.Dir, s.environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	return cmd
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// Tethered is a component that lives no longer than the process that started it.
type Tethered struct {
	cmd  *exec.Cmd
	done chan struct{}
	stop sync.Once
}

// Tether runs the component until Stop is called or the calling process ends in whatever way.
func Tether(s Spec) (*Tethered, error) {
	log, err := openLog(s.Log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	t := &Tethered{cmd: s.command(log), done: make(chan struct{})}
	t.cmd.SysProcAttr.Setpgid = true // an interrupt at the terminal is the caller's to pass on
	t.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	go func() {
		// The kernel sends the signal when the thread that forked ends, so that thread is kept until the component has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(t.done)
		defer log.Close()
		err := t.cmd.Start()
		started <- err
		if err == nil {
			_ = t.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return t, nil
}

// Done is closed when the component has ended.
func (t *Tethered) Done() <-chan struct{} { return t.done }

// PID is the component's process.
func (t *Tethered) PID() int { return t.cmd.Process.Pid }

// Stop kills the component and waits for its end.
func (t *Tethered) Stop() {
	t.stop.Do(func() { _ = t.cmd.Process.Kill() })
	<-t.done
}
