package attempt

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

func deleteDefinitions(m *v1alpha1.Module) {
	m.Spec.Uninstall = &v1alpha1.Uninstall{Definitions: v1alpha1.DeleteDefinitions}
}

// TestUninstallKeepsDefinitions: by default definitions and what people have made of them stay, and it is said how much that is.
func TestUninstallKeepsDefinitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	a := w.start(0)
	w.want("1.0.0")
	a.reach(lifecycle.Installed)
	w.launch("ark")
	w.delete()
	if _, err := a.run(func(m *v1alpha1.Module) bool { return m == nil }); err != nil {
		t.Fatal(err)
	}
	w.empty(true)
	w.afloat("ark")
	w.leavesNothing()
	if !w.heard("Normal Kept: definitions of kinds are kept, with their objects: boats." + w.names.group() + " (1 objects)") {
		t.Errorf("what is kept isn't told: %s", strings.Join(w.told, "\n"))
	}
	if w.get(definitionKind, "boats."+w.names.group()).GetLabels()[Group+"/name"] != "" {
		t.Error("a definition that is kept still belongs to a module that is gone")
	}
}

// TestUninstallNamesWhatHangs: an object whose finalizer nobody takes away is named, the controller runs until it is gone, and the rest follows.
func TestUninstallNamesWhatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	a := w.start(0)
	w.want("1.0.0", deleteDefinitions)
	a.reach(lifecycle.Installed)
	w.launch("ark", "example.com/moored")
	w.delete()
	m := a.reachWhere("what hangs is named", func(m *v1alpha1.Module) bool {
		return condition(m, v1alpha1.StalledCondition).Reason == reasonHangs
	})
	said := condition(m, v1alpha1.StalledCondition).Message
	if !strings.Contains(said, "Boat/"+w.env.Namespace+"/ark") || !strings.Contains(said, "example.com/moored") {
		t.Errorf("it doesn't say what hangs on what: %s", said)
	}
	if w.get(deploymentKind, "boats") == nil {
		t.Error("the controller is gone before the objects that it has to clean up after")
	}
	boat := w.get(schema.GroupVersionKind{Group: w.names.group(), Version: "v1", Kind: boatKind}, "ark")
	if err := w.client.Patch(t.Context(), boat, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.run(func(m *v1alpha1.Module) bool { return m == nil }); err != nil {
		t.Fatal(err)
	}
	w.empty(false)
}

// TestUninstallWhileApplying: a module that is deleted in the middle of an attempt goes with all that the attempt has brought.
func TestUninstallWhileApplying(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	w.offer("2.0.0", laggard)
	a := w.start(0)
	w.want("1.0.0")
	a.reach(lifecycle.Installed)
	w.want("2.0.0")
	a.reachWhere("it waits", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Applying && m.Status.Attempt.Step != ""
	})
	w.delete()
	if _, err := a.run(func(m *v1alpha1.Module) bool { return m == nil }); err != nil {
		t.Fatal(err)
	}
	w.empty(true)
	w.leavesNothing()
}

// withNamespace is a package that brings a namespace, and something in it.
func withNamespace(n names) []*unstructured.Unstructured {
	space := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": n.unique}}}
	settings := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": n.unique},
	}}
	return []*unstructured.Unstructured{space, settings}
}

// TestUninstallKeepsWhatIsOthers: with a namespace goes all that is in it. So one that holds something of others stays, and so does one that was
// there before the module; what stays doesn't belong to the module any more.
func TestUninstallKeepsWhatIsOthers(t *testing.T) {
	t.Parallel()
	namespace := schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
	for name, before := range map[string]bool{"something of others is in it": false, "it was there before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pack.set(func(p *packages) { p.versions["1.0.0"] = withNamespace })
			if before {
				if err := w.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.names.unique}}); err != nil {
					t.Fatal(err)
				}
			}
			a := w.start(0)
			w.want("1.0.0")
			a.reach(lifecycle.Installed)
			if !before {
				theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.names.unique, Name: "precious"}}
				if err := w.client.Create(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
			}
			w.delete()
			if _, err := a.run(func(m *v1alpha1.Module) bool { return m == nil }); err != nil {
				t.Fatal(err)
			}
			left := w.get(namespace, w.names.unique)
			if left == nil || left.GetDeletionTimestamp() != nil {
				t.Fatal("the namespace is gone, with what isn't the module's")
			}
			if left.GetLabels()[Group+"/name"] != "" {
				t.Error("it still belongs to a module that is gone")
			}
			if !before && !w.heard("Normal Kept: Namespace/"+w.names.unique+" is kept: Secret/"+w.names.unique+"/precious") {
				t.Errorf("why it is kept isn't told: %s", strings.Join(w.told, "\n"))
			}
		})
	}
}
