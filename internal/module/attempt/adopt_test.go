package attempt

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

// already brings the first version into the cluster as Helm does: the module isn't there yet.
func (w *world) already(b boats) {
	w.Helper()
	for _, o := range b.of(w.names) {
		if err := w.client.Create(w.Context(), o, client.FieldOwner("helm")); err != nil {
			w.Fatal(err)
		}
	}
	w.eventually("the controller runs", func() bool {
		d := w.get(deploymentKind, "boats")
		n, _, _ := unstructured.NestedInt64(d.Object, "status", "availableReplicas")
		return n == 1
	})
}

// TestAdopt: what somebody else has installed is taken over without a change to what runs.
func TestAdopt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.already(first)
	was := w.get(deploymentKind, "boats")
	w.offer("1.0.0", first)
	w.offer("2.0.0", second)
	a := w.start()
	w.want("1.0.0")
	w.isInstalled(a.reach(lifecycle.Installed), "1.0.0")
	is := w.get(deploymentKind, "boats")
	if is.GetGeneration() != was.GetGeneration() || is.GetUID() != was.GetUID() {
		t.Error("the controller was restarted")
	}
	if is.GetLabels()[Group+"/name"] != w.name {
		t.Error("the controller isn't the module's")
	}
	w.want("2.0.0")
	w.isInstalled(a.reach(lifecycle.Installed), "2.0.0")
	w.is(second)
}

// TestAdoptTakenBack: what was taken over, and fails in its new version, is put back as it was, and belongs to whom it belonged.
func TestAdoptTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.already(first)
	w.launch("ark")
	was := w.get(deploymentKind, "boats")
	w.offer("2.0.0", bad)
	a := w.start()
	w.want("2.0.0")
	w.isTakenBack(a.reach(lifecycle.RolledBack), "")
	w.is(first)
	w.afloat("ark")
	is := w.get(deploymentKind, "boats")
	if diff := cmp.Diff(was.Object["spec"], is.Object["spec"]); diff != "" {
		t.Errorf("the controller's spec (-was +is):\n%s", diff)
	}
	if diff := cmp.Diff(managers(was), managers(is)); diff != "" {
		t.Errorf("whose fields they are (-was +is):\n%s", diff)
	}
	if is.GetLabels()[Group+"/name"] != "" {
		t.Error("it still belongs to the module")
	}
}

// managers lists who manages fields of an object, but for its status.
func managers(o *unstructured.Unstructured) string {
	var names []string
	for _, e := range o.GetManagedFields() {
		if e.Subresource == "" {
			names = append(names, e.Manager+" "+string(e.Operation))
		}
	}
	return strings.Join(names, ", ")
}
