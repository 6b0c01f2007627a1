package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func TestModuleList(t *testing.T) {
	w := newModulesWorld(t)
	w.module(w.name, nil, planned("an approval"))
	w.module(w.name+"-new", nil, nil)
	w.module(w.name+"-ready", func(s *v1alpha1.ModuleSpec) {
		s.Upgrade = &v1alpha1.Upgrade{Policy: v1alpha1.UpgradeManual, Windows: []v1alpha1.Window{{Days: []v1alpha1.Weekday{"Mon"}, Start: "02:00", Duration: metav1.Duration{Duration: 4 * time.Hour}, TimeZone: "Europe/Madrid"}}}
		s.Catalogue = &v1alpha1.Catalogue{Channel: "stable", ConfigMap: &v1alpha1.ConfigMapReference{Name: "platform"}}
	}, committed)
	got := w.slipway("module", "list")
	got.want(t, ExitDone, "NAME", "TARGET", "1.4.2     1.5.0    Planned", "1.5.0 waits", "Pending", "nobody has looked at it yet", "1.5.0 is installed")
	w.slipway("module", "list", "-o", "wide").want(t, ExitDone, "oci://registry.example.com/packages/runner", "Manual; Mon from 02:00 for 4h (Europe/Madrid)", "channel stable of ConfigMap platform says, within >=1.4 <2")
	got = w.slipway("module", "list", "--status-selector", "ready=true", "-o", "json")
	got.want(t, ExitDone)
	var list struct{ Items []v1alpha1.Module }
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list.Items, func(m v1alpha1.Module) bool { return m.Name == w.name+"-ready" && m.Kind == v1alpha1.ModuleKind }) ||
		slices.ContainsFunc(list.Items, func(m v1alpha1.Module) bool { return m.Name == w.name }) {
		t.Errorf("want the ready one and not the other: %s", got.out)
	}
}

func TestModuleShow(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, func(s *v1alpha1.ModuleSpec) {
		s.DependsOn = []v1alpha1.ModuleDependency{{Module: "cert-manager", Version: ">=1.14"}}
	}, nil)
	labels := map[string]any{"app": "runner"}
	first := w.stored(m, 1, "1.4.2",
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": w.namespace}},
		map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "token", "namespace": w.namespace}, "stringData": map[string]any{"token": "hunter2"}},
		map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "runner", "namespace": w.namespace}, "spec": map[string]any{
			"replicas": int64(1), "selector": map[string]any{"matchLabels": labels}, "template": map[string]any{"metadata": map[string]any{"labels": labels}},
		}})
	w.has(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}}, w.deployment("runner"))
	w.status(m, func(s *v1alpha1.ModuleStatus) {
		planned("an approval of it")(s)
		s.Current.Revision = first.Name
		s.Plan.Irreversible, s.Plan.Reversible = []string{"CustomResourceDefinition a: a webhook converts"}, false
		s.Plan.Problems, s.Plan.ProblemCount = []v1alpha1.PlanProblem{{Check: "Images", Object: "Deployment/x/runner", Message: "quay.io/runner:1.5.0 isn't there: mirror it"}}, 3
		takenBack := v1alpha1.Failure{Reason: "Unhealthy", Message: "no image", At: metav1.Now()}
		s.Rejected = []v1alpha1.Rejection{{Failure: takenBack, Digest: newDigest, Version: "1.4.9"}}
	})
	got := w.slipway("module", "show", w.name)
	got.want(t, ExitDone,
		"Module:       "+w.name, "Planned, for", "Installed:    1.4.2 (sha256:aaaaaaaaaaaa, revision "+first.Name, "Target:       1.5.0", "Requires:     cert-manager >=1.14",
		"1 to create, 4 to change, 1 to delete, 37 as they are; it can't be taken back", "a webhook converts", "get,list secrets", "Images: Deployment/x/runner: quay.io/runner:1.5.0 isn't there",
		"and 2 more", "Waits for:    an approval of it", "Rejected:     1.4.9", "Unhealthy: no image",
		"configuration   ConfigMap/"+w.namespace+"/settings", "Secret/"+w.namespace+"/token", "Missing", "workloads", "Deployment/"+w.namespace+"/runner", "Progressing")
	if strings.Contains(got.out+got.err, "hunter2") {
		t.Error("a Secret is shown")
	}
	got = w.slipway("module", "show", w.name, "-o", "json")
	got.want(t, ExitDone)
	var report moduleReport
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Phase != v1alpha1.PhasePlanned || len(report.Objects) != 3 || len(report.Revisions) != 1 || report.Target.Digest != newDigest {
		t.Errorf("got %+v", report)
	}
	w.slipway("module", "show", w.name+"-none").want(t, ExitFailed, "there is no Module", "slipway module list")
	w.slipway("module", "show", w.name, "--watch", "-o", "json").want(t, ExitUsage, "--watch is for people")
}

// deployment has one replica, which isn't ready.
func (w *modulesWorld) deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c:1"}}}},
	}}
}

// The live view tells the health of objects as it changes.
func TestModuleShowWatches(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, nil, nil)
	labels := map[string]any{"app": "runner"}
	r := w.stored(m, 1, "1.5.0", map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "runner", "namespace": w.namespace}, "spec": map[string]any{
		"replicas": int64(1), "selector": map[string]any{"matchLabels": labels}, "template": map[string]any{"metadata": map[string]any{"labels": labels}},
	}})
	d := w.deployment("runner")
	w.has(d)
	w.status(m, func(s *v1alpha1.ModuleStatus) {
		underWay(v1alpha1.PhaseApplying)(s)
		s.Attempt.Target.Revision = r.Name
	})
	saw := &transcript{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan int, 1)
	go func() {
		done <- Run(ctx, Streams{In: strings.NewReader(""), Out: saw, Err: saw}, []string{"module", "show", m.Name, "--watch", "--kubeconfig", w.kubeconfig})
	}()
	name := "Deployment/" + w.namespace + "/runner: "
	w.eventually(func() error { return saw.have("  workloads     " + name + "Progressing") })
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1, Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}}}
	if err := w.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() error { return saw.have("  workloads     " + name + "Healthy") })
	w.status(m, committed)
	w.eventually(func() error { return saw.have("Installed (1.5.0): 1.5.0 is installed") })
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if code := <-done; code != ExitFailed {
		t.Errorf("exit code %d", code)
	}
	if err := saw.have("was deleted meanwhile"); err != nil {
		t.Error(err)
	}
}
