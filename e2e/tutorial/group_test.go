package tutorial

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// group runs a script as a process group of its own. Whatever the script has started ends with the test: also what it has put into the
// background and hasn't come to ending, and also if the test itself is killed.
type group struct {
	t     *testing.T
	id    int
	guard *exec.Cmd
	held  io.Closer // the guard's input, which ends with this process
}

// newGroup returns a group that ends after all that the test cleans up from here on.
func newGroup(t *testing.T) *group {
	t.Helper()
	g := &group{t: t}
	t.Cleanup(g.end)
	return g
}

// run executes a script once, and returns what it says.
func (g *group) run(script, dir string, env ...string) ([]byte, error) {
	cmd := exec.CommandContext(g.t.Context(), "bash", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g.id = cmd.Process.Pid
	watched := g.watch()
	err := cmd.Wait()
	return out.Bytes(), errors.Join(err, watched)
}

// watch starts a process that ends the group when this one is gone.
func (g *group) watch() error {
	const untilTheEnd = `read -r; kill -KILL -- "-$0"`
	input, held, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	g.held, g.guard = held, exec.CommandContext(context.WithoutCancel(g.t.Context()), "bash", "-c", untilTheEnd, strconv.Itoa(g.id))
	g.guard.Stdin = input
	g.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return g.guard.Start()
}

func (g *group) end() {
	if g.id == 0 {
		return
	}
	if err := syscall.Kill(-g.id, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		g.t.Errorf("end what the script has started: %v", err)
	}
	if g.guard != nil && g.guard.Process != nil {
		_ = g.guard.Process.Kill()
		_ = g.guard.Wait()
	}
	if g.held != nil {
		_ = g.held.Close()
	}
}

// playedIn names, for the process that TestNothingIsLeft ends, the folder in which it runs a script.
const playedIn = "TUTORIAL_PLAYED_IN"

// TestNothingIsLeft: a server that a script has left in the background ends, whether the script fails or the test is killed.
func TestNothingIsLeft(t *testing.T) {
	const (
		serves = "exec 3>pipe\nsleep 600 >/dev/null 2>&1 &\necho serves >&3\n"
		fails  = serves + "exit 1\n"
		hangs  = serves + "wait\n"
	)
	if dir := os.Getenv(playedIn); dir != "" {
		_, _ = newGroup(t).run(hangs, dir)
		return
	}
	for name, play := range map[string]func(t *testing.T, dir string) (end func()){
		"ScriptFails": func(t *testing.T, dir string) func() {
			ended, g := make(chan error, 1), newGroup(t)
			go func() {
				_, err := g.run(fails, dir)
				ended <- err
			}()
			return func() {
				var failed *exec.ExitError
				if err := <-ended; !errors.As(err, &failed) {
					t.Errorf("the script ends with %v, want it to fail", err)
				}
				g.end()
			}
		},
		"TestIsKilled": func(t *testing.T, dir string) func() {
			test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingIsLeft$")
			test.Env = append(os.Environ(), playedIn+"="+dir)
			if err := test.Start(); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := test.Process.Kill(); err != nil {
					t.Error(err)
				}
				_ = test.Wait()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			pipe := filepath.Join(dir, "pipe")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			end := play(t, dir)
			held, err := os.Open(pipe) // until the script opens it, too
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = held.Close() }()
			said := bufio.NewReader(held)
			if line, err := said.ReadString('\n'); err != nil || strings.TrimSpace(line) != "serves" {
				t.Fatalf("the script says %q, %v", line, err)
			}
			end()
			if _, err := said.ReadByte(); !errors.Is(err, io.EOF) { // whoever has the pipe's other end is gone
				t.Error(err)
			}
		})
	}
}
