package cli

import (
	"encoding/json"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/slipway/internal/lab"
	"github.com/slipway-dev/slipway/internal/lab/process"
)

// TestLabFromUpToDown goes through the verbs of a lab with a control plane only: what a lab does is tested in its own package.
func TestLabFromUpToDown(t *testing.T) {
	t.Setenv("SLIPWAY_HOME", t.TempDir())
	t.Cleanup(func() { slipway(t, "down", "--all") })

	slipway(t, "up", "--name", "one", "--nodes", "none", "--bare").want(t, ExitDone, "lab one is up", "slipway down --name one")
	slipway(t, "status", "--name", "one").want(t, ExitDone, "kube-apiserver", "Running")
	slipway(t, "get", "--lab", "one", "gitrepository").want(t, ExitFailed, "slipway install")

	slipway(t, "up", "--name", "one").want(t, ExitDone, "Slipway isn't installed", "slipway agent --lab one")
	slipway(t, "install", "--lab", "one", "--overlay", "dev", "--grant", "cluster-admin", "--no-wait").want(t, ExitDone)
	slipway(t, "up", "--lab", "one", "--bare").want(t, ExitDone, "lab one has Slipway in it", "slipway uninstall --lab one")

	printed := slipway(t, "kubeconfig", "--name", "one")
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(printed.out))
	if err != nil {
		t.Fatalf("what kubeconfig prints can't be used: %v", err)
	}

	status := labStatus(t, "one", ExitDone)
	if status.Server != config.Host {
		t.Errorf("status says %s, kubeconfig %s", status.Server, config.Host)
	}
	for _, c := range status.Components {
		if c.Name == "kube-scheduler" {
			if err := process.Stop(t.Context(), process.Process{PID: c.PID}); err != nil {
				t.Fatal(err)
			}
		}
	}
	slipway(t, "status", "--name", "one").want(t, ExitFailed, "kube-scheduler", "slipway up --name one")
	slipway(t, "up", "--name", "one", "--bare").want(t, ExitDone, "lab one is up")
	labStatus(t, "one", ExitDone)

	slipway(t, "down", "--name", "one").want(t, ExitDone, "lab one is gone")
	slipway(t, "down", "--name", "one").want(t, ExitDone, "there is no lab one")
	slipway(t, "status", "--name", "one").want(t, ExitFailed, "slipway up --name one")
	slipway(t, "kubeconfig", "--name", "one").want(t, ExitFailed, "slipway up --name one")
}

func labStatus(t *testing.T, name string, code int) lab.Status {
	t.Helper()
	got := slipway(t, "status", "--name", name, "-o", "json")
	got.want(t, code)
	var status lab.Status
	if err := json.Unmarshal([]byte(got.out), &status); err != nil {
		t.Fatalf("status -o json: %v:\n%s", err, got.out)
	}
	return status
}

func TestUpRefusesWhatMakesNoSense(t *testing.T) {
	t.Setenv("SLIPWAY_HOME", t.TempDir())
	for name, tc := range map[string]struct {
		reason string
		args   []string
		says   string
	}{
		"Nodes":     {"there are three kinds", []string{"up", "--nodes", "virtual"}, "real, simulated or none"},
		"Name":      {"the name is part of paths and devices", []string{"up", "--name", "Ä"}, "lower-case"},
		"Workers":   {"a lab has a limit", []string{"up", "--workers", "1000"}, "1 to 64"},
		"NoWorkers": {"0 isn't the default when someone says it", []string{"up", "--workers", "0"}, "--nodes none"},
		"Negative":  {"there are no such labs", []string{"up", "--workers", "-1"}, "--nodes none"},
		"Grant":     {"it is told before a lab is made", []string{"up", "--grant", "root"}, "cluster-admin"},
		"NameOrAll": {"one of the two is meant", []string{"down", "--all", "--name", "one"}, "all"},
	} {
		t.Run(name, func(t *testing.T) { slipway(t, tc.args...).want(t, ExitUsage, tc.says) })
	}
}
