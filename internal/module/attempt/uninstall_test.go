package attempt

import (
	"strings"
	"testing"

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
