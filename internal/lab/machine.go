package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/slipway-dev/slipway/internal/lab/process"
)

// Best returns the best kind of nodes that this machine allows, and why it is no better.
func Best(ctx context.Context) (Nodes, string) {
	if runtime.GOOS != "linux" {
		return None, "real and simulated nodes need Linux"
	}
	if err := RealNodesPossible(ctx); err != nil {
		return Simulated, err.Error()
	}
	return Real, "the machine can run them"
}

// RealNodesPossible says why the machine can't have real nodes; nil when it can, once the packages that are missing, if any, have
// been installed.
func RealNodesPossible(ctx context.Context) error {
	switch {
	case runtime.GOOS != "linux":
		return errors.New("real nodes need Linux")
	case os.Geteuid() != 0:
		return errors.New("real nodes need root: they make namespaces, mounts and network devices")
	}
	if err := process.CanIsolate(ctx); err != nil {
		return fmt.Errorf("real nodes need namespaces of their own: %w", err)
	}
	if packages := missing(); len(packages) > 0 {
		if _, err := exec.LookPath("apt-get"); err != nil {
			return fmt.Errorf("real nodes need what Debian calls %s: install it", strings.Join(packages, ", "))
		}
	}
	return nil
}

// needed are the packages of Debian and Ubuntu that real nodes need, with what tells that they are there.
func needed() map[string]func() bool {
	command := func(name string) func() bool {
		return func() bool { _, err := exec.LookPath(name); return err == nil }
	}
	return map[string]func() bool{
		"containerd":                  command("containerd"),
		"runc":                        command("runc"),
		"iptables":                    command("iptables"),
		"iproute2":                    command("ip"),
		"util-linux":                  command("nsenter"),
		"containernetworking-plugins": func() bool { return pluginFolder() != "" },
	}
}

// missing returns the packages that are needed and not there.
func missing() []string {
	var packages []string
	for name, there := range needed() {
		if !there() {
			packages = append(packages, name)
		}
	}
	return packages
}

// pluginFolder is where the host keeps its network plugins; empty when it has none.
func pluginFolder() string {
	for _, dir := range []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"} {
		if hasPlugins(dir) {
			return dir
		}
	}
	return ""
}

func hasPlugins(dir string) bool {
	for _, plugin := range []string{"ptp", "host-local", "portmap", "loopback"} {
		if _, err := os.Stat(filepath.Join(dir, plugin)); err != nil {
			return false
		}
	}
	return true
}

// install installs packages with apt-get, without questions.
func install(ctx context.Context, packages []string) error {
	apt := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	command := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	if apt(command...) == nil {
		return nil
	}
	// The lists of packages may be missing or old.
	if err := apt("update"); err != nil {
		return err
	}
	return apt(command...)
}

// nameServers returns the servers that the host asks.
func nameServers() []string {
	data, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var servers []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
			servers = append(servers, fields[1])
		}
	}
	return servers
}
