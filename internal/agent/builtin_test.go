package agent_test

import (
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// TestDeliveryIsAModule: an agent says of the delivery in it whether all of its kinds are served.
func TestDeliveryIsAModule(t *testing.T) {
	env := labtest.ControlPlane(t)
	uninstall(t, env, "ocirepositories.source.toolkit.fluxcd.io")
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "source.toolkit.fluxcd.io_buckets.yaml", "source.toolkit.fluxcd.io_externalartifacts.yaml",
		"kustomize.toolkit.fluxcd.io_kustomizations.yaml", "slipway.dev_modules.yaml", "slipway.dev_modulegrants.yaml", "slipway.dev_modulerevisions.yaml")
	running(t, env.Config, agent.Options{Version: "1.2.3", LeaseNamespace: env.Namespace})
	c := interpreterClient(t, env)
	m := &v1alpha1.Module{
		ObjectMeta: metav1.ObjectMeta{Name: "delivery"},
		Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: v1alpha1.BuiltinDelivery}}},
	}
	if err := c.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), m) })
	ready := func() metav1.Condition {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
			t.Fatal(err)
		}
		if is := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition); is != nil {
			return *is
		}
		return metav1.Condition{}
	}
	await(t, func() bool { return strings.Contains(ready().Message, "doesn't know OCIRepository") }, func() string { return ready().Message })
	if m.Status.Phase != v1alpha1.PhaseInstalled || m.Status.Current == nil || m.Status.Current.Version != "1.2.3" || ready().Status != metav1.ConditionFalse {
		t.Errorf("%+v", m.Status)
	}
	env.Define(t, "source.toolkit.fluxcd.io_ocirepositories.yaml")
	await(t, func() bool { return ready().Status == metav1.ConditionTrue }, func() string { return ready().Message })
}

// TestTheAgentIsAModule: an agent with a place in its cluster says of itself what runs. That an upgrade begins, and how it ends, is
// TestAgentModule's.
func TestTheAgentIsAModule(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml", "slipway.dev_agentupgrades.yaml",
		"slipway.dev_modules.yaml", "slipway.dev_modulegrants.yaml", "slipway.dev_modulerevisions.yaml")
	c := interpreterClient(t, env)
	labels := map[string]string{"app": "agent"}
	for _, o := range []client.Object{
		&appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: agent.Names().Agent},
			Spec: appsv1.StatefulSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				// Nobody listens there.
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: agent.Names().Container, Image: "127.0.0.1:1/slipway@sha256:" + strings.Repeat("4", 64)}}},
			}},
		},
		&v1alpha1.Module{
			ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.BuiltinAgent},
			Spec:       v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: v1alpha1.BuiltinAgent}}},
		},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), o) })
	}
	running(t, env.Config, agent.Options{Version: "1.2.3", LeaderElect: true, LeaseNamespace: env.Namespace, Slot: v1alpha1.SlotA})
	m := &v1alpha1.Module{}
	says := func() string {
		if err := c.Get(t.Context(), client.ObjectKey{Name: v1alpha1.BuiltinAgent}, m); err != nil {
			t.Fatal(err)
		}
		if is := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition); is != nil {
			return is.Message
		}
		return ""
	}
	await(t, func() bool { return strings.Contains(says(), "1.2.3 runs in slot a; can't look for other versions") }, says)
	if !apimeta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ReadyCondition) {
		t.Error("what runs is ready, whoever doesn't answer")
	}
}
