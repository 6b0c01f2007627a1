package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
)

// The steps follow each other: an agent is one thing per cluster.
func TestAgentUpgrade(t *testing.T) {
	w := newWorld(t)
	const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	image := "example.com/slipway@" + digest
	w.slipway("agent", "--slot", "c").want(t, ExitUsage, "neither a nor b")
	w.slipway("agent", "upgrade").want(t, ExitUsage, "IMAGE@sha256:DIGEST")
	w.slipway("agent", "upgrade", "example.com/slipway:2").want(t, ExitUsage, "NAME@sha256")
	w.slipway("agent", "upgrade", image).want(t, ExitFailed, "slipway install")
	w.slipway("agent", "rollback").want(t, ExitFailed, "no upgrade of the agent")

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: deploy.Namespace}}
	if err := w.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	labels := deploy.AgentLabels()
	agent := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: deploy.Namespace, Name: deploy.Agent, Labels: labels},
		Spec: appsv1.StatefulSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: deploy.AgentContainer, Image: "example.com/slipway@" + strings.ReplaceAll(digest, "1", "0")}}},
		}},
	}
	if err := w.Create(t.Context(), agent); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Delete(context.Background(), agent); client.IgnoreNotFound(err) != nil { // the test's own context has ended
			t.Error(err)
		}
	})
	w.slipway("agent", "upgrade", image, "--version", "2.0.0", "--no-wait").want(t, ExitDone, "from 000000000000 in slot a to 2.0.0 in slot b")
	c, err := newSelfUpgrader(w.config, "", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	var all v1alpha1.AgentUpgradeList
	if err := c.client.List(t.Context(), &all, client.InNamespace(deploy.Namespace)); err != nil || len(all.Items) != 1 {
		t.Fatalf("%d AgentUpgrades, %v", len(all.Items), err)
	}
	u := &all.Items[0]
	if u.Spec.To != (v1alpha1.AgentBuild{Version: "2.0.0", Image: image, Slot: v1alpha1.SlotB}) || u.Spec.Mode != v1alpha1.AgentUpgradeSlots {
		t.Errorf("it says %+v", u.Spec)
	}

	u.Status.Phase = v1alpha1.AgentUpgradeProving
	if err := c.client.Status().Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	w.slipway("install", "--no-wait").want(t, ExitFailed, u.Name, "is under way", "slipway agent rollback")
	if err := c.driver.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.client.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}

	// Whoever waits is told how it ends.
	w.following(&v1alpha1.AgentUpgradeList{}, client.InNamespace(deploy.Namespace), func(ctx context.Context, obj runtime.Object) {
		u, ok := obj.(*v1alpha1.AgentUpgrade)
		if !ok || u.Status.Phase == v1alpha1.AgentUpgradeTakenBack {
			return
		}
		u.Status.Phase = v1alpha1.AgentUpgradeTakenBack
		u.Status.Conditions = []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, string(u.Status.Phase), "it is "+string(u.Status.Phase))}
		if err := w.Status().Update(ctx, u); err != nil && ctx.Err() == nil {
			t.Errorf("play the agent: %v", err)
		}
	})
	w.slipway("agent", "upgrade", image, "--version", "3.0.0").want(t, ExitFailed, "TakenBack: it is TakenBack")
	if err := c.driver.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteAllOf(t.Context(), &v1alpha1.AgentUpgrade{}, client.InNamespace(deploy.Namespace)); err != nil {
		t.Fatal(err)
	}
}

func TestAgentProbe(t *testing.T) {
	w := newWorld(t)
	result := filepath.Join(t.TempDir(), "result")
	w.slipway("agent", "--probe", "--probe-result", result).want(t, ExitDone, "Started passed", "Permissions passed", "Definitions passed")
	text, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var report probe.Report
	if err := json.Unmarshal(text, &report); err != nil || !report.Passed() || len(report.Checks) != 3 {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestServeFlag(t *testing.T) {
	w := newWorld(t)
	w.slipway("agent", "--serve", "gateway", "--leader-elect").want(t, ExitUsage, "none of delivery")
	w.slipway("agent", "--serve", "delivery").want(t, ExitUsage, "--leader-elect")
}

// TestArtifactsOfAnIPv6Pod: the argument is made of the pod's address, which Kubernetes gives without brackets.
func TestArtifactsOfAnIPv6Pod(t *testing.T) {
	for given, want := range map[string]string{
		"http://fd00:10::5:9090":   "http://[fd00:10::5]:9090",
		"http://[fd00:10::5]:9090": "http://[fd00:10::5]:9090",
		"http://10.0.0.5:9090":     "http://10.0.0.5:9090",
		"http://localhost:9090":    "http://localhost:9090",
		"https://slipway.example":  "https://slipway.example",
	} {
		f := agentFlags{}
		f.Advertise = given
		if err := f.settle("x"); err != nil || f.Advertise != want {
			t.Errorf("%s: got %s, %v, want %s", given, f.Advertise, err, want)
		}
	}
}
