package labtest

import (
	"os"
	"sync"
	"testing"

	"github.com/slipway-dev/slipway/internal/lab/tethered"
)

// shared is what the tests of this binary share. The testing package gives no other place where tests of one binary meet.
var shared fixtures

type fixtures struct {
	controlPlane fixture
	simulated    fixture
	cluster      clusterFixture

	defining sync.Mutex // held by the one test that defines kinds
}

// fixture is a plane that is started when the first test asks for it.
type fixture struct {
	once  sync.Once
	plane *tethered.Plane
	err   error
}

func (f *fixture) get(t testing.TB, start func() (*tethered.Plane, error)) *tethered.Plane {
	t.Helper()
	f.once.Do(func() { f.plane, f.err = start() })
	if f.err != nil {
		t.Fatalf("start a control plane for the tests: %v", f.err)
	}
	return f.plane
}

func (f *fixture) stop() {
	f.once.Do(func() {}) // one that never started doesn't start any more
	if f.plane != nil {
		f.plane.Stop()
	}
}

// Main runs the tests of a package and then stops and removes what they started. It doesn't return.
func Main(m *testing.M) {
	code := m.Run()
	shared.controlPlane.stop()
	shared.simulated.stop()
	os.Exit(code)
}

// ControlPlane returns a cluster of etcd and kube-apiserver only: RBAC and admission work, nothing reconciles. Pods stay Pending,
// deleted namespaces stay Terminating, and nothing is garbage collected.
func ControlPlane(t testing.TB) *Env {
	t.Helper()
	return newEnv(t, shared.controlPlane.get(t, startControlPlane).Kubeconfig())
}

// Simulated returns a cluster whose workloads become ready without running anything: ControlPlane's components, of its own, and
// kube-controller-manager, kube-scheduler and kwok, which plays the kubelet of one node.
func Simulated(t testing.TB) *Env {
	t.Helper()
	return newEnv(t, shared.simulated.get(t, startSimulated).Kubeconfig())
}
