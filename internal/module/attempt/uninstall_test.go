package attempt

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

func deleteDefinitions(m *v1alpha1.Module) {
	m.Spec.Uninstall = &v1alpha1.Uninstall{Definitions: v1alpha1.DeleteDefinitions}
}

// TestUninstallKeepsDefinitions: by default definitions and what people have made of them stay, and it is said how much that is.
func TestUninstallKeepsDefinitions(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.launch("ark")
	w.delete()
	a.uninstalled()
	w.empty(true)
	w.afloat("ark")
	w.leavesNothing()
	if !w.heard("Normal Kept: definitions of kinds are kept, with their objects: boats." + w.names.group() + " (1 objects)") {
		t.Errorf("what is kept isn't told: %s", strings.Join(w.events(), "\n"))
	}
	if w.get(definitionKind, "boats."+w.names.group()).GetLabels()[Group+"/name"] != "" {
		t.Error("a definition that is kept still belongs to a module that is gone")
	}
}

// TestUninstallDeletesOnlyItsOwn: also where definitions are to be deleted, those that an attempt took over and gave back, that have become
// another's, or that something keeps stay, with what people have made of them.
func TestUninstallDeletesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	adopted := func(t *testing.T) (*world, *agent) {
		t.Helper()
		w := newWorld(t)
		w.already(first)
		w.launch("ark")
		w.pack.set(func(p *packages) { p.versions["1.0.0"] = plain })
		w.offer("2.0.0", bad)
		a := w.start()
		w.want("1.0.0", deleteDefinitions)
		a.reach(lifecycle.Installed)
		w.want("2.0.0")
		w.isTakenBack(a.reach(lifecycle.RolledBack), "1.0.0")
		return w, a
	}
	marked := func(metadata string) func(*testing.T) (*world, *agent) {
		return func(t *testing.T) (*world, *agent) {
			t.Helper()
			w, a := running(t, first, deleteDefinitions)
			w.launch("ark")
			d := w.get(definitionKind, "boats."+w.names.group())
			if err := w.client.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":`+metadata+`}`))); err != nil {
				t.Fatal(err)
			}
			return w, a
		}
	}
	for name, begin := range map[string]func(*testing.T) (*world, *agent){
		"taken over and given back": adopted,
		"another's":                 marked(`{"labels":{"slipway.dev/name":"another"}}`),
		"nobody's":                  marked(`{"labels":{"slipway.dev/name":null}}`),
		"kept by an annotation":     marked(`{"annotations":{"` + observe.AnnotationPrune + `":"disabled"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := begin(t)
			w.delete()
			a.uninstalled()
			if d := w.get(definitionKind, "boats."+w.names.group()); d == nil || d.GetDeletionTimestamp() != nil {
				t.Error("the definition is deleted")
			}
			w.afloat("ark")
			w.leavesNothing()
		})
	}
}

// TestUninstallWaitsForTheStore: what can't be read just now is read later. Else the module would go, and leave behind what it forgot.
func TestUninstallWaitsForTheStore(t *testing.T) {
	t.Parallel()
	w, a := running(t, first, deleteDefinitions)
	a.stop()
	a = w.start()
	a.wire.refusing(func(req *http.Request) bool {
		return req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/secrets/")
	})
	w.delete()
	a.reachWhere("it says what it waits for", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Uninstalling && strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "refused by the test")
	})
	a.wire.refusing(nil)
	a.uninstalled()
	w.empty(false)
	w.leavesNothing()
}

// TestUninstallNamesWhatHangs: an object whose finalizer nobody takes away is named, the controller runs until it is gone, and the rest follows.
func TestUninstallNamesWhatHangs(t *testing.T) {
	t.Parallel()
	w, a := running(t, first, deleteDefinitions)
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
	a.uninstalled()
	w.empty(false)
}

// TestUninstallWhileApplying: a module that is deleted in the middle of an attempt goes with all that the attempt has brought.
func TestUninstallWhileApplying(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", laggard)
	w.want("2.0.0")
	a.reachWhere("it waits", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Applying && m.Status.Attempt.Step != ""
	})
	w.delete()
	a.uninstalled()
	w.empty(true)
	w.leavesNothing()
}

// plain is a package that brings one thing, which no other has.
func plain(n names) []*unstructured.Unstructured {
	return []*unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "plain", "namespace": n.namespace},
	}}}
}

// withNamespace is a package that brings a namespace, and something in it.
func withNamespace(n names) []*unstructured.Unstructured {
	space := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": n.unique}}}
	settings := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": n.unique},
	}}
	return []*unstructured.Unstructured{space, settings}
}

// namespace makes the namespace that withNamespace has.
func (w *world) namespace() {
	w.Helper()
	if err := w.client.Create(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.names.unique}}); err != nil {
		w.Fatal(err)
	}
}

// runningWithNamespace is a world with a module that has withNamespace installed, and its agent. The namespace was there before it, or not.
func runningWithNamespace(t *testing.T, before bool) (*world, *agent) {
	t.Helper()
	w := newWorld(t)
	w.pack.set(func(p *packages) { p.versions["1.0.0"] = withNamespace })
	if before {
		w.namespace()
	}
	a := w.start()
	w.want("1.0.0")
	a.reach(lifecycle.Installed)
	return w, a
}

var namespaceGVK = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}

// TestUninstallKeepsWhatIsOthers: with a namespace goes all that is in it. So one that holds something of others stays, and so does one that was
// there before the module; what stays doesn't belong to the module any more.
func TestUninstallKeepsWhatIsOthers(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"something of others is in it": false, "it was there before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := runningWithNamespace(t, before)
			if !before {
				theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.names.unique, Name: "precious"}}
				if err := w.client.Create(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
			}
			w.delete()
			a.uninstalled()
			left := w.get(namespaceGVK, w.names.unique)
			if left == nil || left.GetDeletionTimestamp() != nil {
				t.Fatal("the namespace is gone, with what isn't the module's")
			}
			if left.GetLabels()[Group+"/name"] != "" {
				t.Error("it still belongs to a module that is gone")
			}
			if !before && !w.heard("Normal Kept: Namespace/"+w.names.unique+" is kept: Secret/"+w.names.unique+"/precious") {
				t.Errorf("why it is kept isn't told: %s", strings.Join(w.events(), "\n"))
			}
		})
	}
}
