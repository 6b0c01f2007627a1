package lab_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab"
)

// machine is what a test may change and must leave as it was: a folder for labs, and this machine.
type machine struct {
	home string
}

// newMachine gives the test a folder for labs of its own, below one of the test's by the given path. Whatever the test leaves
// running is removed at its end.
func newMachine(t *testing.T, below ...string) machine {
	t.Helper()
	m := machine{home: filepath.Join(append([]string{t.TempDir()}, below...)...)}
	t.Setenv("SLIPWAY_HOME", m.home)
	t.Cleanup(func() {
		names, err := lab.Names()
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if _, err := lab.Down(context.Background(), name); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

// needReal skips the test where the machine can't run real nodes, unless SLIPWAY_REQUIRE_CLUSTER says that it must.
func needReal(t *testing.T) {
	t.Helper()
	err := lab.RealNodesPossible(t.Context())
	if err != nil && os.Getenv("SLIPWAY_REQUIRE_CLUSTER") != "" {
		t.Fatalf("a real node is required (SLIPWAY_REQUIRE_CLUSTER): %v", err)
	}
	if err != nil {
		t.Skipf("this machine can't run a real node: %v", err)
	}
}

func mustUp(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	l, err := lab.Up(t.Context(), o)
	if err != nil {
		t.Fatalf("up: %v", err)
	}
	return l
}

func mustStatus(t *testing.T, l *lab.Lab) lab.Status {
	t.Helper()
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	return status
}

func mustDown(t *testing.T, name string) {
	t.Helper()
	if there, err := lab.Down(t.Context(), name); err != nil || !there {
		t.Fatalf("down %s: there was something: %t, %v", name, there, err)
	}
}

// eventually waits until holds returns nil, for as long as pods may take to start on a busy machine.
func eventually(t *testing.T, what string, holds func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = holds(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v: %v", what, err, last)
	}
}

// traces lists what the machine has of labs of that name in the test's folder: files, processes, mounts, network devices, rules and
// control groups.
func (m machine) traces(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	if files, err := filepath.Glob(filepath.Join(m.home, "labs", "*"+name+"*")); err == nil {
		found = append(found, files...)
	}
	dir := filepath.Join(m.home, "labs", name)
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, environ := range environs {
		if data, err := os.ReadFile(environ); err == nil && bytes.Contains(data, []byte("SLIPWAY_LAB="+dir)) {
			found = append(found, environ)
		}
	}
	for _, command := range [][]string{
		{"cat", "/proc/self/mounts"},
		{"ip", "-details", "-oneline", "link"},
		{"iptables", "-w", "-t", "nat", "-S"},
		{"iptables", "-w", "-t", "filter", "-S"},
	} {
		found = append(found, lines(t, command, dir, "slipway lab "+name+"-")...)
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/slipway-" + name + "-*")
	if err != nil {
		t.Fatal(err)
	}
	unified, err := filepath.Glob("/sys/fs/cgroup/slipway-" + name + "-*")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(found, groups...), unified...)
}

// lines returns those that the command prints with one of the words in them; none where there is no such command.
func lines(t *testing.T, command []string, words ...string) []string {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil || os.Geteuid() != 0 {
		return nil
	}
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		for _, word := range words {
			if strings.Contains(line, word) {
				found = append(found, command[0]+": "+strings.TrimSpace(line))
			}
		}
	}
	return found
}

// expectNoTraces fails the test when anything is left of the lab. A network namespace is taken apart by the kernel in its own time.
func (m machine) expectNoTraces(t *testing.T, name string) {
	t.Helper()
	if left := m.traces(t, name); len(left) > 0 {
		t.Errorf("of lab %s there are left:\n%s", name, strings.Join(left, "\n"))
	}
}
