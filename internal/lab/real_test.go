package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/lab"
)

// TestRealLab takes one lab with two nodes through its life: starting is what costs time.
func TestRealLab(t *testing.T) {
	needReal(t)
	m := newMachine(t)
	l := mustUp(t, lab.Options{Name: "two", Nodes: lab.Real, Workers: 2})
	w := run(t, l)
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"EverythingRuns", func(t *testing.T) { everythingRuns(t, l) }},
		{"SecondUpChangesNothing", func(t *testing.T) { secondUpChangesNothing(t, l) }},
		{"OtherOptionsAreRefused", func(t *testing.T) { otherOptionsAreRefused(t, l) }},
		{"PodsReachEachOtherAndTheHost", func(t *testing.T) { podsReach(t, l, w) }},
		{"HostReachesPodsAndServices", func(t *testing.T) { hostReaches(t, w) }},
		{"LogsAndMetrics", func(t *testing.T) { logsAndMetrics(t, w) }},
		{"AnotherLabBeside", func(t *testing.T) { anotherLabBeside(t, m, w) }},
		{"CrashesAreSeenAndMended", func(t *testing.T) { crashesAreMended(t, l, w) }},
	} {
		if !t.Run(part.name, part.run) {
			t.FailNow()
		}
	}
	mustDown(t, "two")
	m.expectNoTraces(t, "two")
	kernelIsAsItWas(t)
}

// kernelIsAsItWas checks that no lab has left a note of a kernel setting to restore, unless one is still there that needs it.
func kernelIsAsItWas(t *testing.T) {
	t.Helper()
	var notes []string
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		bridges, err := filepath.Glob("/sys/class/net/slipway*")
		if err != nil || len(bridges) > 0 {
			return err == nil, err // another lab keeps them
		}
		notes, err = filepath.Glob("/run/slipway-lab-*")
		return len(notes) == 0, err
	})
	if err != nil {
		t.Errorf("kernel settings were not restored: %v, %v", notes, err)
	}
}

func everythingRuns(t *testing.T, l *lab.Lab) {
	status := mustStatus(t, l)
	if problems := status.Problems(); len(problems) > 0 {
		t.Errorf("problems: %q", problems)
	}
	if len(status.Workers) != 2 {
		t.Errorf("%d nodes, want 2", len(status.Workers))
	}
	for _, c := range status.Components {
		if _, err := os.Stat(c.Log); err != nil {
			t.Errorf("log of %s: %v", c.Name, err)
		}
	}
}

func pids(status lab.Status) map[string]int {
	all := map[string]int{}
	for _, c := range status.Components {
		all[c.Name] = c.PID
	}
	return all
}

func secondUpChangesNothing(t *testing.T, l *lab.Lab) {
	before := pids(mustStatus(t, l))
	mustUp(t, lab.Options{Name: l.Name()})
	for name, pid := range pids(mustStatus(t, l)) {
		if before[name] != pid {
			t.Errorf("%s was process %d and is %d", name, before[name], pid)
		}
	}
}

func otherOptionsAreRefused(t *testing.T, l *lab.Lab) {
	for name, o := range map[string]lab.Options{
		"nodes": {Name: l.Name(), Nodes: lab.None}, "workers": {Name: l.Name(), Workers: 3},
	} {
		if _, err := lab.Up(t.Context(), o); err == nil || !strings.Contains(err.Error(), "slipway down --name "+l.Name()) {
			t.Errorf("other %s: got %v, want a refusal that says what to do", name, err)
		}
	}
}

// podsReach checks the ways that packets take from a pod.
func podsReach(t *testing.T, l *lab.Lab, w *workload) {
	listener, err := net.Listen("tcp", net.JoinHostPort(l.Gateway().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	host := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprint(w, from)
	}))
	host.Listener = listener
	host.Start()
	defer host.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	one, two := w.pods[0], w.pods[1]
	for what, way := range map[string]struct{ target, want string }{
		"a pod on the other node":  {"http://" + two.Status.PodIP + ":8080/who", two.Name},
		"itself":                   {"http://" + one.Status.PodIP + ":8080/who", one.Name},
		"a Service by short name":  {"http://probe:8080/who", "probe-"},
		"a Service by full name":   {"http://probe.default.svc.cluster.local:8080/who", "probe-"},
		"the host by name":         {"http://" + lab.HostName + ":" + port, one.Status.PodIP},
		"the API server's Service": {"http://kubernetes.default.svc:443/healthz", "HTTPS server"},
	} {
		eventually(t, what, func(ctx context.Context) error {
			got, err := w.from(ctx, one, way.target)
			if !strings.Contains(got, way.want) {
				return errors.Join(fmt.Errorf("got %q, want %q", got, way.want), err)
			}
			return nil
		})
	}
}

// hostReaches checks that the host, and so the API server, gets to pods and ClusterIPs, and that Services balance.
func hostReaches(t *testing.T, w *workload) {
	seen := map[string]bool{}
	eventually(t, "the host meets both pods behind the Service", func(ctx context.Context) error {
		name, err := fetch(ctx, "http://"+w.service+":8080/who")
		if err != nil {
			return err
		}
		seen[name] = true
		if len(seen) < 2 {
			return fmt.Errorf("saw only %v", seen)
		}
		return nil
	})
}

func logsAndMetrics(t *testing.T, w *workload) {
	for _, pod := range w.pods {
		logs, err := w.client.CoreV1().Pods("default").GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil || !strings.Contains(string(logs), "probe listens") {
			t.Errorf("logs of %s: %q, %v", pod.Name, logs, err)
		}
	}
	eventually(t, "metrics of both pods", func(ctx context.Context) error {
		data, err := w.client.RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods").DoRaw(ctx)
		if err != nil {
			return err
		}
		for _, pod := range w.pods {
			if !strings.Contains(string(data), pod.Name) {
				return fmt.Errorf("none of %s yet", pod.Name)
			}
		}
		return nil
	})
}

// anotherLabBeside starts and removes a second lab, which doesn't touch the first.
func anotherLabBeside(t *testing.T, m machine, w *workload) {
	other := mustUp(t, lab.Options{Name: "beside", Nodes: lab.Real})
	nodes, err := clientFor(t, other).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Errorf("the second lab has %d nodes, %v", len(nodes.Items), err)
	}
	mine := run(t, other)
	for _, pod := range append(mine.pods, w.pods...) {
		if got, err := fetch(t.Context(), "http://"+pod.Status.PodIP+":8080/who"); err != nil || got != pod.Name {
			t.Errorf("%s said %q, %v", pod.Name, got, err)
		}
	}
	mustDown(t, "beside")
	m.expectNoTraces(t, "beside")
	w.await(t, 2)
}

// crashesAreMended kills each component in turn.
func crashesAreMended(t *testing.T, l *lab.Lab, w *workload) {
	for _, victim := range mustStatus(t, l).Components {
		t.Run(strings.ReplaceAll(victim.Name, "/", "-"), func(t *testing.T) {
			pid := pids(mustStatus(t, l))[victim.Name]
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "status says that it is down", func(context.Context) error {
				for _, c := range mustStatus(t, l).Components {
					if c.Name == victim.Name && c.State == lab.StateDown {
						return nil
					}
				}
				return errors.New("it doesn't")
			})
			mustUp(t, lab.Options{Name: l.Name()})
			status := mustStatus(t, l)
			if !status.Healthy() {
				t.Errorf("after up: %q", status.Problems())
			}
			if again := pids(status)[victim.Name]; again == pid || again == 0 {
				t.Errorf("it was process %d and is %d", pid, again)
			}
		})
	}
	w.await(t, 2)
}

func TestKilledUpIsPickedUpOrCleaned(t *testing.T) {
	needReal(t)
	m := newMachine(t)
	// Moments at which it is likely to be busy with: files, network and storage; the API server; the nodes.
	for i, moment := range []string{"lab.json", "logs/worker-1-init.log", "logs/kube-apiserver.log", "logs/worker-1-kubelet.log"} {
		name := fmt.Sprintf("killed%d", i)
		killUp(t, filepath.Join(m.home, "labs", name, moment), name)
		if i%2 == 0 {
			l := mustUp(t, lab.Options{Name: name, Nodes: lab.Real})
			if status := mustStatus(t, l); !status.Healthy() {
				t.Errorf("killed at %s and picked up: %q", moment, status.Problems())
			}
		}
		mustDown(t, name)
		m.expectNoTraces(t, name)
	}
}
