package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/slipway-dev/slipway/internal/lab/control"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

// engine is what is measured.
type engine struct {
	name string
	// clients are the beginnings of its user agents.
	clients []string
	// commands are its processes.
	commands func(ctx context.Context, a *arena) ([]command, error)
}

type command struct {
	name    string
	program string
	args    []string
	env     []string
	health  string // a URL that answers 200 when it is up
}

// concurrency is that of Flux's own benchmark: kustomize-controller 20, source-controller 10.
const concurrency = "20"

func flux() engine {
	return engine{name: "flux", clients: []string{"kustomize-controller", "source-controller"}, commands: func(ctx context.Context, a *arena) ([]command, error) {
		var out []command
		if err := a.defineRest(ctx); err != nil {
			return nil, err
		}
		storage, err := port()
		if err != nil {
			return nil, err
		}
		for _, c := range []struct {
			name string
			args []string
		}{
			{"source-controller", []string{"--concurrent=10", "--storage-path=" + a.folder("flux-storage"), "--storage-addr=" + storage, "--storage-adv-addr=" + storage}},
			{"kustomize-controller", []string{"--concurrent=" + concurrency, "--requeue-dependency=5s"}},
		} {
			program, err := upstream(ctx, c.name)
			if err != nil {
				return nil, err
			}
			metrics, err1 := port()
			health, err2 := port()
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("find free ports: %w, %w", err1, err2)
			}
			out = append(out, command{
				name: c.name, program: program, health: "http://" + health + "/healthz",
				args: append(c.args, "--watch-all-namespaces", "--log-level=error", "--log-encoding=json", "--enable-leader-election=false", "--events-addr=",
					"--metrics-addr="+metrics, "--health-addr="+health),
				env: []string{"KUBECONFIG=" + a.plane.Kubeconfig(), "RUNTIME_NAMESPACE=" + fluxNamespace, "TMPDIR=" + a.folder("flux-tmp")},
			})
		}
		return out, nil
	}}
}

func slipway(binary string) engine {
	return engine{name: "slipway", clients: []string{"slipway-agent"}, commands: func(_ context.Context, a *arena) ([]command, error) {
		health, err := port()
		if err != nil {
			return nil, err
		}
		artifacts, err := port()
		if err != nil {
			return nil, err
		}
		return []command{{
			name: "slipway", program: binary, health: "http://" + health + "/healthz",
			args: []string{
				"agent", "--kubeconfig", a.plane.Kubeconfig(), "--data-dir", a.folder("slipway"), "--allow-agent-identity", "--log-level=error",
				"--concurrent=" + concurrency, "--health-address=" + health, "--artifact-address=" + artifacts, "--storage-adv-address=http://" + artifacts,
				"--pprof-address=" + a.profiles, "--insecure-registries=" + a.registry,
			},
		}}, nil
	}}
}

// defineRest makes the API server know the kinds that source-controller insists on and Slipway doesn't serve.
func (a *arena) defineRest(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/fluxcd/source-controller")
	cmd.Dir, cmd.Env = filepath.Join("bench", "peers"), append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find source-controller's module: %w", err)
	}
	bases := filepath.Join(strings.TrimSpace(string(out)), "config", "crd", "bases")
	if _, err := envtest.InstallCRDs(a.config, envtest.CRDInstallOptions{Paths: []string{bases}}); err != nil {
		return fmt.Errorf("install source-controller's CRDs: %w", err)
	}
	return nil
}

// port is a free address on loopback.
func port() (string, error) {
	p, err := control.FreePort("127.0.0.1")
	return fmt.Sprintf("127.0.0.1:%d", p), err
}

// upstream is the path of one of Flux's programs, which is built if need be.
func upstream(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "run", "-C", "tools", "./upstream", name)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// running is an engine that was started.
type running struct{ components []*process.Tethered }

// start runs the engine and returns at once, or when it is up.
func (a *arena) start(ctx context.Context, e engine, await bool) (*running, error) {
	commands, err := e.commands(ctx, a)
	if err != nil {
		return nil, err
	}
	r := &running{}
	for _, c := range commands {
		component, err := process.Tether(process.Spec{
			Lab: a.dir, Name: c.name, Program: c.program, Args: c.args, Env: c.env, Dir: a.dir, Log: filepath.Join(a.dir, c.name+".log"),
		})
		if err != nil {
			r.stop()
			return nil, err
		}
		r.components = append(r.components, component)
	}
	if !await {
		return r, nil
	}
	for _, c := range commands {
		if err := answers(ctx, c.health); err != nil {
			r.stop()
			return nil, fmt.Errorf("%s did not come up: %w\n%s", c.name, err, process.Tail(filepath.Join(a.dir, c.name+".log"), 10))
		}
	}
	return r, nil
}

func (r *running) stop() {
	for _, c := range r.components {
		c.Stop()
	}
}

func (r *running) cpu() (sum time.Duration) {
	for _, c := range r.components {
		sum += cpu(c.PID())
	}
	return sum
}

func (r *running) peak() (sum float64) {
	for _, c := range r.components {
		sum += peak(c.PID())
	}
	return sum
}

// answers returns when url answers with 200.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", url, ctx.Err())
		case <-tick.C:
		}
	}
}
