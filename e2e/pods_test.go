package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/await"
)

// pod is a Deployment of one pod with an image.
func pod(name, image string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 1
  progressDeadlineSeconds: 10
  # A kubelet may call a pod ready, and take that back a moment later, as one that is started is asked twice at once.
  minReadySeconds: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: %[2]s
          imagePullPolicy: IfNotPresent
          env: [{name: SHOP_DRAIN, value: 0s}]
          readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
`, name, image)
}

const (
	catalogImage = "shop/catalog:e2e"
	noImage      = "shop/nowhere:none"
)

func TestReadyMeansRunning(t *testing.T) {
	g := e2e.GivenNode(t)
	g.Image(catalogImage, "./examples/shop/cmd/catalog").
		Repository("shop", e2e.Files{"catalog.yaml": pod("catalog", catalogImage)}).
		Kustomization("shop", inNamespace(g), e2e.Wait(time.Minute)).
		Then().
		Ready("kustomization/shop").
		Condition("kustomization/shop", meta.HealthyCondition, metav1.ConditionTrue).
		// At this moment: Ready was said when it was so, not before.
		Holds("deployment/catalog", await.Available)
}

func TestAFailingDeploymentIsNamedAndMended(t *testing.T) {
	g := e2e.GivenNode(t)
	g.Image(catalogImage, "./examples/shop/cmd/catalog").
		Repository("shop", e2e.Files{"catalog.yaml": pod("catalog", catalogImage), "good.yaml": configMap("good", "is", "red")}).
		Kustomization("shop", inNamespace(g), e2e.Wait(2*time.Minute)).
		Then().
		Ready("kustomization/shop").
		When().
		Commit("shop", e2e.Files{"catalog.yaml": pod("catalog", noImage), "good.yaml": configMap("good", "is", "blue")}).
		Then().
		Failed("kustomization/shop", "HealthCheckFailed", "Deployment", "catalog").
		// The rest of the commit is in place, and the old pod goes on serving.
		Has("configmap/good", e2e.Data("is", "blue")).
		Has("deployment/catalog", e2e.Field(1, "status", "readyReplicas")).
		When().
		Commit("shop", e2e.Files{"catalog.yaml": pod("catalog", catalogImage)}).
		Then().
		Ready("kustomization/shop").
		Holds("deployment/catalog", await.Available)
}

func TestANewCommitTakesOverFromAWait(t *testing.T) {
	g := e2e.GivenNode(t)
	patient := strings.Replace(pod("catalog", noImage), "progressDeadlineSeconds: 10", "progressDeadlineSeconds: 3000", 1)
	g.Image(catalogImage, "./examples/shop/cmd/catalog").
		Repository("shop", e2e.Files{"catalog.yaml": patient}).
		Kustomization("shop", inNamespace(g), e2e.Wait(time.Hour)).
		Then().
		Condition("kustomization/shop", meta.ReconcilingCondition, metav1.ConditionTrue).
		Has("deployment/catalog").
		When().
		Commit("shop", e2e.Files{"catalog.yaml": pod("catalog", catalogImage)}).
		Then().
		Ready("kustomization/shop").
		Holds("deployment/catalog", await.Available)
}

func TestAFailingDeploymentHoldsUpNobodyElse(t *testing.T) {
	g := e2e.GivenNode(t)
	files := e2e.Files{"good/good.yaml": configMap("good", "is", "red")}
	var stuck []string
	for i := range 12 { // more than there are workers
		name := fmt.Sprintf("stuck-%d", i)
		stuck = append(stuck, name)
		text := strings.Replace(pod(name, noImage), "progressDeadlineSeconds: 10", "progressDeadlineSeconds: 3000", 1)
		files[name+"/d.yaml"] = strings.Replace(text, "replicas: 1", "replicas: 1\n  paused: true", 1)
	}
	g.Repository("shop", files)
	for _, name := range stuck {
		g.Kustomization(name, inNamespace(g), e2e.Path(name), e2e.Wait(time.Hour))
	}
	for _, name := range stuck {
		g.Then().Has("deployment/" + name)
	}
	g.Kustomization("good", inNamespace(g), e2e.Path("good")).
		Then().
		Within(time.Minute).
		Ready("kustomization/good").
		When().
		Commit("shop", e2e.Files{"good/good.yaml": configMap("good", "is", "blue")}).
		Then().
		Within(time.Minute).
		Ready("kustomization/good").
		Has("configmap/good", e2e.Data("is", "blue"))
}

func TestDependentsWaitForRunningPods(t *testing.T) {
	g := e2e.GivenNode(t)
	g.Image(catalogImage, "./examples/shop/cmd/catalog").
		Repository("shop", e2e.Files{"base/catalog.yaml": pod("catalog", noImage), "app/app.yaml": configMap("app", "k", "v")}).
		Kustomization("base", inNamespace(g), e2e.Path("base"), e2e.Wait(time.Minute)).
		Kustomization("app", inNamespace(g), e2e.Path("app"), e2e.DependsOn("base")).
		Then().
		Failed("kustomization/base", "HealthCheckFailed", "catalog").
		Failed("kustomization/app", "DependencyNotReady", "base").
		Absent("configmap/app").
		When().
		Commit("shop", e2e.Files{"base/catalog.yaml": pod("catalog", catalogImage)}).
		Then().
		Ready("kustomization/app").
		Has("deployment/catalog", await.Available).
		Has("configmap/app", e2e.Data("k", "v"))
}

func TestHealthChecksNameWhatCounts(t *testing.T) {
	g := e2e.GivenNode(t)
	checks := e2e.With(func(s *kustomizev1.KustomizationSpec) {
		s.Timeout = &metav1.Duration{Duration: time.Minute}
		s.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "catalog", Namespace: g.Namespace}}
	})
	g.Image(catalogImage, "./examples/shop/cmd/catalog").
		Repository("shop", e2e.Files{"catalog.yaml": pod("catalog", catalogImage), "other.yaml": pod("other", noImage)}).
		Kustomization("shop", inNamespace(g), checks).
		Then().
		Ready("kustomization/shop").
		Holds("deployment/catalog", await.Available)
}

func TestPruneTakesPodsWithIt(t *testing.T) {
	g := e2e.GivenNode(t)
	g.Image(catalogImage, "./examples/shop/cmd/catalog").
		Repository("shop", e2e.Files{"catalog.yaml": pod("catalog", catalogImage), "good.yaml": configMap("good", "k", "v")}).
		Kustomization("shop", inNamespace(g), e2e.Wait(time.Minute)).
		Then().
		Ready("kustomization/shop").
		When().
		Remove("shop", "catalog.yaml").
		Then().
		Ready("kustomization/shop").
		Gone("deployment/catalog").
		Has("configmap/good")
}
