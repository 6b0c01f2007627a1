package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

// Agent is a process `slipway agent` that works on one cluster.
type Agent struct {
	spec process.Spec
	// Webhooks is where it receives webhooks, as http://HOST:PORT; empty for an agent of a test's own, which may be told with a flag.
	Webhooks string

	mu      sync.Mutex
	running *process.Tethered
}

// NewAgent prepares an agent of the test's own, which Start runs. It keeps what
// it fetches in dir, over restarts too. flags go to `slipway agent`.
func NewAgent(t *testing.T, env *labtest.Env, kubeconfig, dir string, flags ...string) *Agent {
	t.Helper()
	env.Define(t)
	a, err := newAgent(env, kubeconfig, dir, flags...)
	if err != nil {
		t.Fatalf("prepare an agent: %v", err)
	}
	return a
}

func newAgent(env *labtest.Env, kubeconfig, dir string, flags ...string) (*Agent, error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	program, err := shared.program(top, filepath.Dir(env.Kubeconfig))
	if err != nil {
		return nil, err
	}
	args := append([]string{"agent", "--kubeconfig", kubeconfig, "--data-dir", filepath.Join(dir, "data"), "--log-level", "debug", "--allow-agent-identity"}, flags...)
	return &Agent{spec: process.Spec{
		Lab: dir, Name: "agent", Program: program, Args: args, Dir: dir, Log: filepath.Join(dir, "agent.log"),
	}}, nil
}

// Start runs the agent, until Kill or the end of the test binary.
func (a *Agent) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := process.Tether(a.spec)
	if err != nil {
		return err
	}
	a.running = p
	return nil
}

// Kill ends the agent at once, as kill -9 does, and waits until it is gone.
func (a *Agent) Kill() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running != nil {
		a.running.Stop()
		a.running = nil
	}
}

// PID is the process of the agent that runs, or 0.
func (a *Agent) PID() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running == nil {
		return 0
	}
	return a.running.PID()
}

// Ended is closed when the agent that runs has ended by itself or by Kill; nil, which blocks for ever, where none was started.
func (a *Agent) Ended() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running == nil {
		return nil
	}
	return a.running.Done()
}

// Log returns the end of what the agent wrote.
func (a *Agent) Log(lines int) string { return process.Tail(a.spec.Log, lines) }

// shared is what the tests of this binary share. The testing package gives no
// other place where tests of one binary meet.
var shared = fixtures{agents: map[string]*agentFixture{}}

type fixtures struct {
	mu     sync.Mutex
	agents map[string]*agentFixture // by kubeconfig

	flux fluxCLI

	build sync.Once
	built string
	err   error
}

type agentFixture struct {
	once  sync.Once
	agent *Agent
	err   error
}

// agent returns the agent that all stories on a cluster share.
func (f *fixtures) agent(t *testing.T, env *labtest.Env) *Agent {
	t.Helper()
	env.Define(t)
	f.mu.Lock()
	fixture, ok := f.agents[env.Kubeconfig]
	if !ok {
		fixture = &agentFixture{}
		f.agents[env.Kubeconfig] = fixture
	}
	f.mu.Unlock()
	fixture.once.Do(func() {
		// Beside the kubeconfig, so that it goes when the cluster goes.
		dir := filepath.Join(filepath.Dir(env.Kubeconfig), "e2e-agent")
		fixture.agent, fixture.err = startShared(env, dir)
	})
	if fixture.err != nil {
		t.Fatalf("start the agent: %v", fixture.err)
	}
	return fixture.agent
}

// startShared starts an agent that serves everything that stories are about, webhooks too.
func startShared(env *labtest.Env, dir string) (*Agent, error) {
	const host = "127.0.0.1"
	port, err := control.FreePort(host)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	agent, err := newAgent(env, env.Kubeconfig, dir, "--receiver-address", address)
	if err != nil {
		return nil, err
	}
	agent.Webhooks = "http://" + address
	return agent, agent.Start()
}

// program builds the slipway command into dir, once per test binary.
// SLIPWAY_BINARY names one to use instead.
func (f *fixtures) program(top, dir string) (string, error) {
	f.build.Do(func() {
		if f.built = os.Getenv("SLIPWAY_BINARY"); f.built != "" {
			return
		}
		f.built = filepath.Join(dir, "slipway-e2e")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "build", "-o", f.built, "./cmd/slipway")
		cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			f.err = fmt.Errorf("build slipway: %w\n%s", err, out)
		}
	})
	return f.built, f.err
}
