package cli

import (
	"context"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// exists reports whether a named object is in the cluster.
func (w *world) exists(obj client.Object, namespace, name string) bool {
	w.t.Helper()
	err := w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	return err == nil
}

func TestInstallPrintsManifestsForOtherTools(t *testing.T) {
	nowhere(t)
	got := slipway(t, "install", "--overlay", "prod", "--image", "example.com/slipway:1", "-o", "yaml")
	got.want(t, ExitDone, "image: example.com/slipway:1")
	first := strings.SplitN(got.out, "---\n", 3)[1]
	var obj unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(first), &obj.Object); err != nil {
		t.Fatal(err)
	}
	if obj.GetKind() != "Namespace" {
		t.Errorf("the first object is a %s; applied in this order it fails", obj.GetKind())
	}
}

func TestManifestsCallTheAgentAsItIs(t *testing.T) {
	objs, err := deploy.Render(deploy.Options{Overlay: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	values := []string{"$(POD_NAME)", "slipway-agent-0", "$(POD_NAMESPACE)", deploy.Namespace}
	var args []string
	for _, obj := range objs {
		switch obj.GetKind() {
		case "ConfigMap":
			settings, _, _ := unstructured.NestedStringMap(obj.Object, "data")
			for key, value := range settings {
				values = append(values, "$("+key+")", value)
			}
		case "StatefulSet":
			containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
			args, _, _ = unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
		}
	}
	for i := range args {
		args[i] = strings.NewReplacer(values...).Replace(args[i])
	}
	agent, rest, err := New(Streams{}).Find(args)
	if err != nil || agent.Name() != "agent" {
		t.Fatalf("%v calls %v: %v", args, agent, err)
	}
	if err := agent.ParseFlags(rest); err != nil {
		t.Errorf("the agent doesn't take its arguments: %v", err)
	}
	if left := agent.Flags().Args(); len(left) > 0 {
		t.Errorf("arguments that aren't flags: %v", left)
	}
}

// The steps follow each other: an install is one thing per cluster.
func TestInstallCheckUninstall(t *testing.T) {
	w := worldIn(t, labtest.Simulated(t))
	t.Cleanup(w.withoutAgent)
	grant := deploy.Agent + "-" + deploy.ClusterAdmin

	w.slipway("check").want(t, ExitFailed, "isn't installed", "slipway install")

	w.slipway("install", "--overlay", "dev", "--dry-run").want(t, ExitDone, "StatefulSet/slipway-system/slipway-agent created (dry run)")
	if w.exists(&corev1.Namespace{}, "", deploy.Namespace) {
		t.Fatal("a dry run has made something")
	}

	w.slipway("install", "--overlay", "dev", "--grant", "cluster-admin").want(t, ExitDone,
		"Namespace/slipway-system created", "StatefulSet/slipway-system/slipway-agent created", "the agent runs")
	w.slipway("check").want(t, ExitDone, "1 ready of image slipway.dev/slipway:dev", "may apply anything")
	w.slipway("install", "--overlay", "dev", "--grant", "cluster-admin").want(t, ExitDone,
		"StatefulSet/slipway-system/slipway-agent unchanged")
	w.slipway("install", "--overlay", "dev", "--grant", "cluster-admin", "--dry-run").want(t, ExitDone,
		"StatefulSet/slipway-system/slipway-agent unchanged (dry run)")
	w.slipway("install", "--overlay", "dev", "--grant", "cluster-admin", "--image", "example.com/slipway:2", "--dry-run").want(t, ExitDone,
		"StatefulSet/slipway-system/slipway-agent configured (dry run)", "ServiceAccount/slipway-system/slipway-agent unchanged (dry run)")

	// The settings change, so their generated name does, and the grant isn't asked for any more.
	w.slipway("install", "--overlay", "prod", "--no-wait").want(t, ExitDone,
		"ClusterRoleBinding/"+grant+" deleted", "ConfigMap/slipway-system/slipway-agent-")
	if w.exists(&rbacv1.ClusterRoleBinding{}, "", grant) {
		t.Error("the grant of the earlier install is still there")
	}
	var settings corev1.ConfigMapList
	if err := w.List(t.Context(), &settings, client.InNamespace(deploy.Namespace), client.MatchingLabels(deploy.AgentLabels())); err != nil {
		t.Fatal(err)
	}
	if len(settings.Items) != 1 {
		t.Errorf("%d generations of settings, want 1", len(settings.Items))
	}

	shop := kustomization("shop", "shop")
	shop.Finalizers = []string{kustomizev1.KustomizationFinalizer, "example.com/other"}
	w.has(shop)
	w.slipway("uninstall").want(t, ExitUsage, "--yes")
	boats := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: "boats", Finalizers: []string{attempt.Finalizer}},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{OCI: &v1alpha1.OCISource{URL: "oci://example.com/boats"}}},
	}
	if err := w.Create(t.Context(), boats); err != nil {
		t.Fatal(err)
	}
	served := servedDelivery()
	if err := w.Create(t.Context(), served); err != nil {
		t.Fatal(err)
	}
	w.slipway("uninstall", "--yes", "--crds").want(t, ExitFailed, "delivery is served by Deployment slipway-system/slipway-delivery", "slipway module uninstall delivery")
	if w.reload(shop); len(shop.Finalizers) != 2 || !w.exists(&appsv1.StatefulSet{}, deploy.Namespace, deploy.Agent) {
		t.Errorf("something was changed while pods serve delivery: finalizers %v", shop.Finalizers)
	}
	if err := w.Delete(t.Context(), served); err != nil {
		t.Fatal(err)
	}
	w.slipway("uninstall", "--yes").want(t, ExitDone, "StatefulSet/slipway-system/slipway-agent deleted", "namespace slipway-system stays")
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(boats), boats); err != nil || len(boats.Finalizers) > 0 {
		t.Errorf("a Module that nobody serves any more can't be deleted: %v, %v", boats.Finalizers, err)
	}
	if err := w.Delete(t.Context(), boats); err != nil {
		t.Fatal(err)
	}
	w.slipway("uninstall", "--yes").want(t, ExitDone, "Namespace/slipway-system deleted")
	if w.exists(&appsv1.StatefulSet{}, deploy.Namespace, deploy.Agent) || w.exists(&rbacv1.ClusterRole{}, "", deploy.Agent) {
		t.Error("the agent or its role is still there")
	}
	if w.reload(shop); len(shop.Finalizers) != 1 || shop.Finalizers[0] != "example.com/other" {
		t.Errorf("finalizers %v, want only those of others", shop.Finalizers)
	}
	w.slipway("uninstall", "--yes").want(t, ExitDone)
}

// servedDelivery is a Deployment of delivery as its package has it, whose pods the cluster needn't start.
func servedDelivery() *appsv1.Deployment {
	labels := map[string]string{"app": "delivery"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: deploy.Namespace, Name: "slipway-delivery", Labels: map[string]string{"slipway.dev/name": "delivery"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "delivery", Image: "slipway.dev/slipway:dev", Args: []string{"agent", "--serve=delivery"}}}},
			},
		},
	}
}

func TestInstallLeavesFluxItsWork(t *testing.T) {
	w := newWorld(t)
	labels := map[string]string{partOfLabel: "flux", "app.kubernetes.io/component": "kustomize-controller"}
	flux := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "kustomize-controller", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "flux"}}},
			},
		},
	}
	w.has(flux)
	t.Cleanup(func() {
		if err := w.Delete(context.Background(), flux); client.IgnoreNotFound(err) != nil { // the test's own context has ended
			t.Error(err)
		}
	})
	w.slipway("install", "--dry-run").want(t, ExitFailed, w.namespace+"/kustomize-controller", "--beside-flux")
	w.slipway("check").want(t, ExitFailed, "Flux works on the same kinds")

	none := int32(0)
	flux.Spec.Replicas = &none
	if err := w.Update(t.Context(), flux); err != nil {
		t.Fatal(err)
	}
	w.slipway("install", "--dry-run").want(t, ExitDone, "created (dry run)")
}

func TestMissingImageIsToldFromOtherTroubles(t *testing.T) {
	waiting := func(reason string) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}},
		}}}
	}
	for reason, want := range map[string]bool{"ErrImagePull": true, "ImagePullBackOff": true, "CrashLoopBackOff": false, "ContainerCreating": false} {
		if got := lacksImage(waiting(reason)); got != want {
			t.Errorf("%s: advice about images is given: %v, want %v", reason, got, want)
		}
	}
}

func TestPodTroublesAreToldInWords(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		status corev1.PodStatus
		want   string
	}{
		"NoImage": {
			"the kubelet's words name the image",
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"},
			}}}},
			"ErrImagePull: no such image",
		},
		"Unschedulable": {
			"the scheduler's words name what lacks",
			corev1.PodStatus{Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
			}}},
			"Unschedulable: 0/1 nodes are available",
		},
		"Unready": {
			"its log tells why",
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
			"runs but isn't ready; 'slipway logs' tells more",
		},
		"Fine": {
			"nothing to tell",
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Ready: true}}},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := podTrouble(&corev1.Pod{Status: tc.status}); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
