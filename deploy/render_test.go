package deploy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func render(t *testing.T, opts Options) []*unstructured.Unstructured {
	t.Helper()
	objs, err := Render(opts)
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// find returns the only object of a kind, as its own type.
func find[T any](t *testing.T, objs []*unstructured.Unstructured, kind, name string) *T {
	t.Helper()
	for _, obj := range objs {
		if obj.GetKind() != kind || !strings.HasPrefix(obj.GetName(), name) {
			continue
		}
		typed := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, true); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		return typed
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func TestAPIServerTakesEveryOverlay(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := env.Client(t)
	// What lives in the namespace can be checked only where it exists.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if err := c.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	for _, overlay := range Overlays() {
		t.Run(overlay, func(t *testing.T) {
			for _, obj := range render(t, Options{Overlay: overlay, Components: Components()}) {
				if obj.GroupVersionKind().Group == "monitoring.coreos.com" {
					continue // the operator's own types check them, in interop/monitoring
				}
				err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(obj),
					client.FieldOwner("test"), client.DryRunAll)
				if err != nil {
					t.Errorf("%s %s: %v", obj.GetKind(), obj.GetName(), err)
				}
			}
		})
	}
}

func TestAgentPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, overlay := range Overlays() {
		agent := find[appsv1.StatefulSet](t, render(t, Options{Overlay: overlay}), "StatefulSet", Agent)
		pod := agent.Spec.Template
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
		if !result.Allowed {
			t.Errorf("%s: %s", overlay, result.ForbiddenDetail())
		}
		root := pod.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem
		if root == nil || !*root {
			t.Errorf("%s: the agent's root file system can be written", overlay)
		}
	}
}

func TestEnvironmentsDifferInScaleAndLogsOnly(t *testing.T) {
	dev, prod := render(t, Options{Overlay: "dev"}), render(t, Options{Overlay: "prod"})
	settings := func(objs []*unstructured.Unstructured) map[string]string {
		return find[corev1.ConfigMap](t, objs, "ConfigMap", Agent).Data
	}
	differing := map[string][2]string{}
	for key, value := range settings(dev) {
		if other := settings(prod)[key]; other != value {
			differing[key] = [2]string{value, other}
		}
	}
	want := map[string][2]string{"LOG_LEVEL": {"debug", "info"}, "LEADER_ELECT": {"false", "true"}}
	if diff := cmp.Diff(want, differing); diff != "" {
		t.Errorf("settings that differ (-want +got):\n%s", diff)
	}

	one, five := find[appsv1.StatefulSet](t, dev, "StatefulSet", Agent), find[appsv1.StatefulSet](t, prod, "StatefulSet", Agent)
	if *one.Spec.Replicas != 1 || *five.Spec.Replicas != 5 {
		t.Errorf("replicas %d and %d, want 1 and 5", *one.Spec.Replicas, *five.Spec.Replicas)
	}
	if one.Spec.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		t.Error("dev needs a node per replica")
	}
	if five.Spec.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		t.Error("two replicas of prod may share a node")
	}
	if !slices.ContainsFunc(prod, func(o *unstructured.Unstructured) bool { return o.GetKind() == "PodDisruptionBudget" }) {
		t.Error("a drain may take all replicas of prod at once")
	}
	labels := find[corev1.Namespace](t, prod, "Namespace", Namespace).Labels
	if labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("prod takes any pod: %v", labels)
	}
}

func TestSettingsReachTheAgent(t *testing.T) {
	objs := render(t, Options{Overlay: "prod"})
	settings := find[corev1.ConfigMap](t, objs, "ConfigMap", Agent)
	agent := find[appsv1.StatefulSet](t, objs, "StatefulSet", Agent).Spec.Template.Spec.Containers[0]
	if name := agent.EnvFrom[0].ConfigMapRef.Name; name != settings.Name {
		t.Errorf("the agent reads %q, the settings are in %q: a change wouldn't roll the pods", name, settings.Name)
	}
	args := strings.Join(agent.Args, " ")
	for key := range settings.Data {
		if !strings.Contains(args, "=$("+key+")") {
			t.Errorf("no argument takes the setting %s", key)
		}
	}
}

func TestGrantsAreNarrowUnlessAskedFor(t *testing.T) {
	rules := find[rbacv1.ClusterRole](t, render(t, Options{Overlay: "prod"}), "ClusterRole", Agent).Rules
	for _, rule := range rules {
		if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.Resources, "*") || slices.Contains(rule.APIGroups, "*") {
			t.Errorf("a rule for everything: %v", rule)
		}
		if slices.Contains(rule.Resources, "secrets") && !slices.Equal(rule.Verbs, []string{"get"}) {
			t.Errorf("Secrets: %v, want get alone", rule.Verbs)
		}
	}
	admin := func(objs []*unstructured.Unstructured) bool {
		return slices.ContainsFunc(objs, func(o *unstructured.Unstructured) bool {
			role, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
			return role == "cluster-admin"
		})
	}
	if admin(render(t, Options{Overlay: "prod"})) {
		t.Error("the agent is cluster-admin although nobody asked for it")
	}
	if !admin(render(t, Options{Overlay: "prod", Components: []string{ClusterAdmin}})) {
		t.Error("the agent isn't cluster-admin although that was asked for")
	}
}

// TestTheRoleNamesTheSlots: Kustomize changes names in a role that look like one of a generated object.
func TestTheRoleNamesTheSlots(t *testing.T) {
	for _, rule := range find[rbacv1.Role](t, render(t, Options{Overlay: "prod"}), "Role", Agent).Rules {
		if slices.Contains(rule.Resources, "statefulsets") && slices.Contains(rule.Verbs, "update") {
			if diff := cmp.Diff([]string{Agent, Agent + "-b"}, rule.ResourceNames); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Error("no rule is about the slots")
}

func TestImage(t *testing.T) {
	for ref, want := range map[string]string{
		"":                       Image + ":dev",
		"example.com/slipway:1":  "example.com/slipway:1",
		"localhost:5000/slipway": "localhost:5000/slipway:latest",
		"slipway@sha256:" + strings.Repeat("0", 64): "slipway@sha256:" + strings.Repeat("0", 64),
	} {
		agent := find[appsv1.StatefulSet](t, render(t, Options{Overlay: "dev", Image: ref}), "StatefulSet", Agent)
		if got := agent.Spec.Template.Spec.Containers[0].Image; got != want {
			t.Errorf("image %q: got %q, want %q", ref, got, want)
		}
	}
}

func TestUnknownNamesAreTold(t *testing.T) {
	for _, opts := range []Options{{}, {Overlay: "../base"}, {Overlay: "dev", Components: []string{"root"}}} {
		if _, err := Render(opts); !errors.Is(err, ErrUnknown) {
			t.Errorf("%+v: got error %v, want %v", opts, err, ErrUnknown)
		}
	}
}
