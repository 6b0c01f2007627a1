package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
)

// deploymentFile is the manifest of a Deployment of one replica.
func deploymentFile(name, image string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
spec:
  selector:
    matchLabels: {app: %[1]s}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      containers:
        - name: app
          image: %[2]s
`, name, image)
}

// rollOut writes the status that the deployment controller would: no such controller runs beside a bare control plane.
func (w *world) rollOut(name string, conditions ...appsv1.DeploymentCondition) {
	w.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace}}
	until(w, d, "it is applied", func() bool { return true })
	before := d.DeepCopy()
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
		Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"}},
	}
	if len(conditions) > 0 {
		d.Status.Conditions, d.Status.ReadyReplicas, d.Status.AvailableReplicas = conditions, 0, 0
	}
	if err := w.client.Status().Patch(w.Context(), d, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

var deadlineExceeded = appsv1.DeploymentCondition{
	Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
	Message: `ReplicaSet "web-1" has timed out progressing.`,
}

func waiting(timeout time.Duration) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Wait, k.Spec.Timeout = true, &metav1.Duration{Duration: timeout}
	}
}

func TestWaitsForHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1")})
	w.source()
	ks := w.kustomization("shop", waiting(10*time.Minute))
	until(w, ks, "it says what it waits for", func() bool {
		c := apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReconcilingCondition)
		return c != nil && strings.Contains(c.Message, "Deployment/"+w.Namespace+"/web")
	})
	if got := ready(ks.Status.Conditions).Status; got != metav1.ConditionUnknown {
		t.Errorf("Ready is %s while health is waited for, want Unknown", got)
	}
	w.rollOut("web")
	w.applied(ks, revision)
	if !apimeta.IsStatusConditionTrue(ks.Status.Conditions, meta.HealthyCondition) {
		t.Errorf("Healthy is missing: %v", ks.Status.Conditions)
	}
}

func TestFailedHealthNamesTheCulpritAndRecovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1"), "api.yaml": deploymentFile("api", "api:1")})
	w.source()
	ks := w.kustomization("shop", waiting(10*time.Minute))
	w.rollOut("api")
	w.rollOut("web", deadlineExceeded)
	message := w.refused(ks, meta.HealthCheckFailedReason)
	if !strings.Contains(message, "web") || strings.Contains(message, "api") {
		t.Errorf("the message must name what failed and nothing else: %q", message)
	}
	w.event(ks, meta.HealthCheckFailedReason, "web")

	w.rollOut("web")
	w.applied(ks, first)
	w.rollOut("web", deadlineExceeded)
	w.refused(ks, meta.HealthCheckFailedReason)
	w.rollOut("web")
	w.applied(ks, first)
}

func TestTimeoutNamesTheCulprit(t *testing.T) {
	t.Parallel()
	now := clocktesting.NewFakePassiveClock(time.Now())
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.Clock = now })
	w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1"), "a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", waiting(time.Minute))
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.Namespace}}
	until(w, d, "it is applied", func() bool { return true })
	now.SetTime(now.Now().Add(2 * time.Minute))
	w.request(ks) // the deadline's own timer runs on real time
	message := w.refused(ks, meta.HealthCheckFailedReason)
	if !strings.Contains(message, "timeout") || !strings.Contains(message, "Deployment/"+w.Namespace+"/web") {
		t.Errorf("the message must say that time ran out, and on what: %q", message)
	}
	w.value("a", "1")
}

func TestNewRevisionTakesOverFromAWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:broken")})
	w.source()
	ks := w.kustomization("shop", waiting(time.Hour))
	until(w, ks, "the wait is on", func() bool {
		return apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReconcilingCondition) != nil && ks.Status.Inventory != nil
	})
	second := w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:fixed")})
	w.fetch()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.Namespace}}
	until(w, d, "the fix is applied", func() bool { return d.Spec.Template.Spec.Containers[0].Image == "web:fixed" })
	w.rollOut("web")
	w.applied(ks, second)
}

func TestHealthChecksOfObjectsThatOthersOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
		k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "foreign", Namespace: w.Namespace}}
	})
	until(w, ks, "it waits for what does not exist", func() bool {
		c := apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReconcilingCondition)
		return c != nil && strings.Contains(c.Message, "foreign")
	})
	w.create(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "foreign", Namespace: w.Namespace},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "foreign"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "foreign"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "foreign:1"}}},
			},
		},
	})
	w.rollOut("foreign")
	w.applied(ks, revision)
}

func TestHealthCheckExpressions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "0")})
	w.source()
	ks := w.kustomization("shop", waiting(10*time.Minute), func(k *kustomizev1.Kustomization) {
		k.Spec.HealthCheckExprs = []kustomize.CustomHealthCheck{{
			APIVersion: "v1", Kind: "ConfigMap",
			HealthCheckExpressions: kustomize.HealthCheckExpressions{Current: "has(data.blessed)"},
		}}
	})
	until(w, ks, "it says what it waits for", func() bool {
		c := apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReconcilingCondition)
		return c != nil && strings.Contains(c.Message, "ConfigMap/"+w.Namespace+"/a")
	})
	a := w.configMap("a")
	until(w, a, "it is applied", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["blessed"] = "yes" })
	w.applied(ks, revision)

	bad := w.kustomization("bad", func(k *kustomizev1.Kustomization) {
		k.Spec.NamePrefix = "bad-"
		k.Spec.HealthCheckExprs = []kustomize.CustomHealthCheck{{
			APIVersion: "v1", Kind: "ConfigMap",
			HealthCheckExpressions: kustomize.HealthCheckExpressions{Current: "this is (not CEL"},
		}}
	})
	w.refused(bad, meta.InvalidCELExpressionReason)
	if !apimeta.IsStatusConditionTrue(bad.Status.Conditions, meta.StalledCondition) {
		t.Error("only a person can correct an expression: it must be Stalled")
	}
}

func TestJobThatRemovesItselfIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: once\nspec:\n  ttlSecondsAfterFinished: 1\n  template:\n    spec:\n" +
		"      restartPolicy: Never\n      containers: [{name: app, image: \"once:1\"}]\n"
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "job.yaml": job})
	w.source()
	ks := w.kustomization("shop", waiting(10*time.Minute))
	once := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "once", Namespace: w.Namespace}}
	until(w, once, "it is applied", func() bool { return true })
	uid := once.UID
	if err := w.client.Delete(t.Context(), once, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err) // as the controller for finished Jobs does
	}
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.fetch()
	w.applied(ks, second)
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(once), once); !apierrors.IsNotFound(err) {
		t.Errorf("the Job was made again: %v, UID %s, before %s", err, once.UID, uid)
	}
	third := w.commit(map[string]string{"job.yaml": strings.Replace(job, "once:1", "once:2", 1)})
	w.fetch()
	until(w, once, "another Job is made", func() bool { return once.UID != uid })
	until(w, ks, "it is tried", func() bool { return ks.Status.LastAttemptedRevision == third })
}
