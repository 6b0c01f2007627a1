package labtest_test

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestControlPlaneGivesEachTestItsNamespace(t *testing.T) {
	one, two := labtest.ControlPlane(t), labtest.ControlPlane(t)
	if one.Namespace == two.Namespace {
		t.Errorf("both have the namespace %s", one.Namespace)
	}
	for _, env := range []*labtest.Env{one, two} {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: env.Namespace}}
		if err := env.Client(t).Create(t.Context(), object); err != nil {
			t.Errorf("create in %s: %v", env.Namespace, err)
		}
	}
}

func TestUserMayDoWhatRBACGrants(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := labtest.Client(t, env.ServiceAccount("nobody"))
	err := c.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: env.Namespace}})
	if !apierrors.IsForbidden(err) {
		t.Errorf("create as a service account without roles: got %v, want a refusal", err)
	}
}

func TestSimulatedWorkloadsBecomeReady(t *testing.T) {
	env := labtest.Simulated(t)
	c := env.Client(t)
	labels := map[string]string{"app": "web"}
	web := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: env.Namespace},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "no.such/image"}}},
			},
		},
	}
	if err := c.Create(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(web), web)
		return web.Status.AvailableReplicas == 1, err
	})
	if err != nil {
		t.Errorf("the Deployment never became available: %v", err)
	}
}

func TestKubeconfigLeadsToTheTestsNamespace(t *testing.T) {
	env := labtest.ControlPlane(t)
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: env.WriteKubeconfig(t)}, nil)
	namespace, _, err := config.Namespace()
	if err != nil || namespace != env.Namespace {
		t.Errorf("its namespace is %q, %v, want %q", namespace, err, env.Namespace)
	}
	rest, err := config.ClientConfig()
	if err != nil || rest.Host != env.Config.Host {
		t.Errorf("it leads to %v, %v, want %s", rest, err, env.Config.Host)
	}
}

func TestClusterRunsContainers(t *testing.T) {
	// A lab of this test's own: the shared one may be in use by others.
	t.Setenv("SLIPWAY_HOME", t.TempDir())
	t.Cleanup(func() {
		if _, err := lab.Down(context.Background(), labtest.ClusterName); err != nil {
			t.Error(err)
		}
	})
	cluster := labtest.Cluster(t)
	status, err := cluster.Lab.Status(t.Context())
	if err != nil || !status.Healthy() {
		t.Errorf("it has problems %q, %v", status.Problems(), err)
	}
	nodes, err := cluster.Clientset(t).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 || nodes.Items[0].Status.NodeInfo.ContainerRuntimeVersion == "" {
		t.Errorf("its nodes are %v, %v, want one with a container runtime", nodes, err)
	}
}
