package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

func TestModuleAdopt(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(w.name, nil, func(s *v1alpha1.ModuleStatus) {
		at(s, v1alpha1.PhaseBlocked, "the plan has problems")
		s.Plan = &v1alpha1.PlanSummary{At: metav1.NewTime(time.Now().Add(-time.Hour)), ProblemCount: 2, Problems: []v1alpha1.PlanProblem{
			{Check: "Owners", Object: "Deployment/cert-manager/cert-manager", Message: "it belongs to the Helm release cert-manager: adopt it, or uninstall that"},
			{Check: "Images", Message: "an image is missing"},
		}}
	})
	w.slipway("module", "adopt", m.Name, "--dry-run").want(t, ExitDone, "Deployment/cert-manager/cert-manager: it belongs to the Helm release", "another problem of the plan (Images)", "would take them over")
	if w.reload(m); m.Spec.Adopt {
		t.Error("a dry run changed something")
	}
	w.agent(m, once(func(m *v1alpha1.Module) bool { return m.Spec.Adopt }, underWay(v1alpha1.PhaseApplying), committed))
	w.slipway("module", "adopt", m.Name, "--yes").want(t, ExitDone, "takes them over", "Installed (1.5.0)")
	w.slipway("module", "adopt", m.Name, "--yes").want(t, ExitDone, "already")
}

func TestModuleUninstallSaysWhatGoes(t *testing.T) {
	w := newModulesWorld(t)
	group := w.namespace + ".example.org"
	definition := map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": crdKind, "metadata": map[string]any{"name": "boats." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": "Boat", "plural": "boats", "singular": "boat", "listKind": "BoatList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}}}},
		},
	}
	m := w.module(w.name, nil, nil)
	r := w.stored(m, 1, "1.4.2", definition,
		map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": w.namespace}},
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": w.namespace}},
		map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "more", "namespace": w.namespace}})
	w.status(m, func(s *v1alpha1.ModuleStatus) { committed(s); s.Current = installedAt("1.4.2", oldDigest, r.Name) })
	w.module(w.name+"-user", func(s *v1alpha1.ModuleSpec) { s.DependsOn = []v1alpha1.ModuleDependency{{Module: w.name}} }, committed)
	if _, err := w.applyOwn(t.Context(), &unstructured.Unstructured{Object: definition}, false); err != nil {
		t.Fatal(err)
	}
	if err := w.waitEstablished(t.Context(), "boats."+group); err != nil {
		t.Fatal(err)
	}
	w.env.AwaitKinds(t, schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Boat"})
	for n := range 3 {
		boat := &unstructured.Unstructured{Object: map[string]any{"apiVersion": group + "/v1", "kind": "Boat", "metadata": map[string]any{"name": fmt.Sprintf("b%d", n), "namespace": w.namespace}}}
		w.eventually(func() error { return w.Create(t.Context(), boat) })
	}
	w.has(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: *quantity(t, "1Gi")}},
	}})

	// The agent deletes no namespace that isn't the module's, nor one with something in it that isn't: objects of the kinds that stay, data.
	plan := []string{"module", "uninstall", m.Name, "--dry-run"}
	w.slipway(plan...).want(t, ExitDone, "Stays: namespace "+w.namespace+": it isn't the module's any more")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.reload(namespace)
	namespace.Labels[attempt.OwnerLabel] = m.Name
	if err := w.Update(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	w.slipway(plan...).want(t, ExitDone, "Stays: namespace "+w.namespace+": ", "PersistentVolumeClaim/"+w.namespace+"/data", "Boat/"+w.namespace+"/b0")
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: w.namespace}}
	if err := w.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() error { // its finalizer is for a controller that doesn't run here
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(claim), claim); err != nil {
			return client.IgnoreNotFound(err)
		}
		claim.Finalizers = nil
		return client.IgnoreNotFound(w.Update(t.Context(), claim))
	})
	// Nor one in which it may not look: whoever asks sees more than it.
	all := append(plan, "--definitions", "Delete")
	w.slipway(all...).want(t, ExitDone, "Stays: namespace "+w.namespace+": the agent may not list ", " and so keeps what may have some in it")
	looks := metav1.ObjectMeta{Namespace: w.namespace, Name: "looks"}
	w.has(&rbacv1.Role{ObjectMeta: looks, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"list"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: looks, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: looks.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: deploy.Namespace, Name: deploy.Agent}},
		})
	w.eventually(func() error { // the API server learns of roles by a watch
		if got := w.slipway(all...); !strings.Contains(got.out, "Role/"+w.namespace+"/looks, RoleBinding/"+w.namespace+"/looks isn't the module's\n") {
			return errors.New(got.out)
		}
		return nil
	})
	mine := map[string]string{attempt.OwnerLabel: m.Name}
	for _, obj := range []client.Object{&rbacv1.Role{ObjectMeta: looks}, &rbacv1.RoleBinding{ObjectMeta: looks}} {
		w.reload(obj)
		obj.SetLabels(mine)
		if err := w.Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually(func() error { // the API server learns of roles by a watch
		if got := w.slipway(all...); !strings.Contains(got.out, "Goes:  namespace "+w.namespace+" with all that is in it\n") {
			return errors.New(got.out)
		}
		return nil
	})
	w.slipway(plan...).want(t, ExitDone, "Stays: namespace "+w.namespace+": Boat/"+w.namespace+"/b0, ", "Goes:  2 ConfigMap", "Stays: definition boats."+group+" and its 3 objects", "module "+w.name+"-user requires "+w.name+": uninstall it first")
	w.slipway("module", "uninstall", m.Name, "--definitions", "Delete", "--dry-run").want(t, ExitDone, "Goes:  definition boats."+group+" and its 3 objects")
	got := w.slipway("module", "uninstall", m.Name, "--dry-run", "-o", "json")
	var loss moduleLoss
	if err := json.Unmarshal([]byte(got.out), &loss); err != nil || len(loss.Kinds) != 1 || loss.Kinds[0].Count != 3 || loss.Kinds[0].Goes || len(loss.Dependants) != 1 {
		t.Errorf("got %v, %+v", err, loss)
	}
	if w.reload(m); !m.DeletionTimestamp.IsZero() || m.Spec.Uninstall != nil && m.Spec.Uninstall.Definitions != v1alpha1.KeepDefinitions {
		t.Error("a dry run changed something")
	}
	w.slipway("module", "uninstall", m.Name).want(t, ExitUsage, "--yes")
	w.slipway("module", "uninstall", m.Name, "--definitions", "Burn").want(t, ExitUsage, "Keep or Delete")

	m.Finalizers = []string{"slipway.dev/module"}
	if err := w.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	seen := v1alpha1.DefinitionsPolicy("")
	w.agent(m, once(func(m *v1alpha1.Module) bool {
		if m.DeletionTimestamp.IsZero() {
			return false
		}
		seen = m.Spec.Uninstall.Definitions
		m.Finalizers = nil
		if err := w.Update(t.Context(), m); err != nil {
			t.Error(err)
		}
		return true
	}))
	w.slipway("module", "uninstall", m.Name, "--definitions", "Delete", "--yes").want(t, ExitDone, "module "+m.Name+" is uninstalled")
	if seen != v1alpha1.DeleteDefinitions {
		t.Errorf("the agent saw %q", seen)
	}
}
