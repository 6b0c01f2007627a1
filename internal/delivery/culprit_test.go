package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestMessageNamesThePod has a Deployment whose pod can't pull its image, as the kubelet would report it.
func TestMessageNamesThePod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1"), "api.yaml": deploymentFile("api", "api:1")})
	w.source()
	ks := w.kustomization("shop", waiting(time.Hour))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "api-1", Namespace: w.Namespace, Labels: map[string]string{"app": "api"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:1"}}},
	}
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: w.Namespace}})
	w.create(pod)
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no image api:1"}},
	}}}
	if err := w.client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	until(w, ks, "it names the object, the pod and how many others", func() bool {
		c := apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReconcilingCondition)
		return c != nil && strings.Contains(c.Message, "Deployment/"+w.Namespace+"/api: ") && strings.Contains(c.Message, "pod api-1: ") &&
			strings.Contains(c.Message, "ImagePullBackOff: no image api:1") && strings.Contains(c.Message, "Deployment/"+w.Namespace+"/web")
	})
}
