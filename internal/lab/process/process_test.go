package process_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab/process"
)

// tetherFor has this test binary start a tethered process, say its PID and wait to be killed. Its value is a folder.
const tetherFor = "SLIPWAY_TEST_TETHER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(tetherFor); dir != "" {
		tether(dir)
	}
	os.Exit(m.Run())
}

func tether(dir string) {
	if _, err := process.Tether(shell(dir, "tethered", "echo $$; while :; do sleep 60; done")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("started")
	select {}
}

func shell(dir, name, script string) process.Spec {
	return process.Spec{
		Lab: dir, Name: name, Program: "/bin/sh", Args: []string{"-c", script}, Dir: dir, Log: filepath.Join(dir, name+".log"),
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 90*time.Second, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func find(t *testing.T, dir string) map[string]process.Process {
	t.Helper()
	running, err := process.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]process.Process{}
	for _, p := range running {
		byName[p.Name] = p
	}
	return byName
}

// start runs a component that the test's end stops.
func start(t *testing.T, spec process.Spec) process.Process {
	t.Helper()
	if err := process.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		running, err := process.Find(spec.Lab)
		if err == nil {
			err = process.Stop(context.Background(), running...)
		}
		if err != nil {
			t.Error(err)
		}
	})
	var found process.Process
	eventually(t, spec.Name+" runs", func() bool {
		found = find(t, spec.Lab)[spec.Name]
		return found.PID != 0
	})
	return found
}

func TestDetachedComponentIsFoundAndStopped(t *testing.T) {
	dir := t.TempDir()
	before := time.Now().Add(-2 * time.Second) // the kernel counts in hundredths from a boot time in whole seconds
	p := start(t, shell(dir, "one", "while :; do sleep 60; done"))
	if p.Lab != dir || p.Started.Before(before) || p.Started.After(time.Now().Add(2*time.Second)) {
		t.Errorf("found %+v", p)
	}
	if sid, err := unix.Getsid(p.PID); err != nil || sid != p.PID {
		t.Errorf("its session is %d, %v; want one of its own, out of the terminal's reach", sid, err)
	}
	if err := process.Stop(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if left := find(t, dir); len(left) != 0 {
		t.Errorf("after Stop there are %v", left)
	}
}

func TestChildrenAreNotTheComponent(t *testing.T) {
	dir := t.TempDir()
	p := start(t, shell(dir, "parent", "sleep 61 & wait"))
	children := filepath.Join("/proc", strconv.Itoa(p.PID), "task", strconv.Itoa(p.PID), "children")
	eventually(t, "the child runs under its own name", func() bool {
		child, err := os.ReadFile(children)
		if err != nil || len(child) == 0 {
			return false
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(child)), "cmdline"))
		return err == nil && strings.HasPrefix(string(cmdline), "sleep")
	})
	if all := find(t, dir); len(all) != 1 || all["parent"].PID != p.PID {
		t.Errorf("found %v, want the parent alone: the child inherits the marks but isn't the component", all)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no orphan counts as the component", func() bool { return len(find(t, dir)) == 0 })
	killChildren(t, "sleep\x0061\x00")
}

// killChildren ends what the test's component left behind.
func killChildren(t *testing.T, cmdline string) {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if data, err := os.ReadFile(entry); err == nil && string(data) == cmdline {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestLabsAreToldApart(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	a := start(t, shell(one, "same", "while :; do sleep 60; done"))
	b := start(t, shell(two, "same", "while :; do sleep 60; done"))
	if got := find(t, one); len(got) != 1 || got["same"].PID != a.PID {
		t.Errorf("the first lab has %v, want pid %d", got, a.PID)
	}
	all, err := process.Find("")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range all {
		if p.PID == a.PID || p.PID == b.PID {
			seen++
		}
	}
	if seen != 2 {
		t.Errorf("of all labs' components, %d of these 2 were found", seen)
	}
}

func TestEndedComponentIsNotFound(t *testing.T) {
	dir := t.TempDir()
	if err := process.Start(t.Context(), shell(dir, "brief", "echo done")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ends", func() bool {
		return len(find(t, dir)) == 0 && process.Tail(filepath.Join(dir, "brief.log"), 1) == "done"
	})
}

func TestComponentDoesNotInheritWhatChangesIt(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HTTPS_PROXY", "http://proxy.example")
	t.Setenv("ETCD_NAME", "other")
	t.Setenv("UNRELATED", "stays")
	spec := shell(dir, "env", `echo "$HTTPS_PROXY|$ETCD_NAME|$UNRELATED|$ADDED"`)
	spec.Env = []string{"ADDED=too"}
	if err := process.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it reports", func() bool { return process.Tail(spec.Log, 1) != "" })
	if got := process.Tail(spec.Log, 1); got != "||stays|too" {
		t.Errorf("it saw %q", got)
	}
}

func TestTetheredComponentDiesWithItsKilledOwner(t *testing.T) {
	dir := t.TempDir()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), tetherFor+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the owner said %q, %v", line, err)
	}
	eventually(t, "the component runs", func() bool { return find(t, dir)["tethered"].PID != 0 })
	p := find(t, dir)["tethered"]
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // it was killed: that is the error
	eventually(t, "the component is gone", func() bool { return !process.Alive(p.PID) })
}

func TestTetherStops(t *testing.T) {
	dir := t.TempDir()
	component, err := process.Tether(shell(dir, "tethered", "while :; do sleep 60; done"))
	if err != nil {
		t.Fatal(err)
	}
	component.Stop()
	component.Stop() // twice is fine
	select {
	case <-component.Done():
	default:
		t.Error("it is stopped and not done")
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	spec := process.Spec{Lab: dir, Name: "ghost", Program: "/no/such/program", Log: filepath.Join(dir, "ghost.log")}
	err := process.Start(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "ghost") || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("got %v, want an error that names the component and the program", err)
	}
	if _, err := process.Tether(spec); err == nil {
		t.Error("a tethered component without a program started")
	}
}

func TestDialReachesDeepSockets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "socket")
	if err := process.Dial(t.Context(), path); err == nil {
		t.Error("there is no socket yet")
	}
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	listen(t, fmt.Sprintf("/proc/self/fd/%d/socket", folder.Fd()))
	if err := process.Dial(t.Context(), path); err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\ntwo\nthree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := process.Tail(path, 2); got != "two\nthree" {
		t.Errorf("got %q", got)
	}
	if got := process.Tail(path+".missing", 2); got != "" {
		t.Errorf("of a missing log got %q", got)
	}
}
