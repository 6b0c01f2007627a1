package labtest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/lab"
)

// ClusterName is the lab that the test binaries of one user share. It is left running for the next one: `slipway down --name e2e`
// removes it.
const ClusterName = "e2e"

// Real is a cluster with a real node as one test sees it.
type Real struct {
	Env
	// Lab is the cluster's lab: its registry, its address as pods see it.
	Lab *lab.Lab
}

type clusterFixture struct {
	once sync.Once
	lab  *lab.Lab
	err  error
}

// Cluster returns a cluster with a real node that runs containers, DNS, metrics-server and a registry. It is started by the first
// test that needs it and shared with the test binaries that come after. Where the machine can't run one, the test is skipped,
// unless SLIPWAY_REQUIRE_CLUSTER is set: then it fails, so that CI can't skip it unseen.
func Cluster(t testing.TB) *Real {
	t.Helper()
	if err := lab.RealNodesPossible(t.Context()); err != nil {
		if os.Getenv("SLIPWAY_REQUIRE_CLUSTER") != "" {
			t.Fatalf("a real node is required (SLIPWAY_REQUIRE_CLUSTER): %v", err)
		}
		t.Skipf("this machine can't run a real node: %v", err)
	}
	f := &shared.cluster
	f.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
		defer cancel()
		f.lab, f.err = lab.Up(ctx, lab.Options{Name: ClusterName, Nodes: lab.Real})
	})
	if f.err != nil {
		t.Fatalf("start the lab for the tests: %v", f.err)
	}
	r := &Real{Env: *newEnv(t, f.lab.Kubeconfig()), Lab: f.lab}
	t.Cleanup(func() { r.deleteNamespace(t) })
	return r
}

// deleteNamespace frees the node of what the test ran. It doesn't wait: names aren't used twice.
func (r *Real) deleteNamespace(t testing.TB) {
	// The test's own context has ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Clientset(t).CoreV1().Namespaces().Delete(ctx, r.Namespace, metav1.DeleteOptions{}); err != nil {
		t.Logf("delete namespace %s: %v", r.Namespace, err)
	}
}
