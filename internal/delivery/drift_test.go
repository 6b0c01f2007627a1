package delivery_test

import (
	"fmt"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const driftKey = "slipway.dev/drift"

func drifting(mode string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Annotations = map[string]string{driftKey: mode} }
}

// modedFile is configMapFile with a drift annotation.
func modedFile(name, value, mode string) string {
	return strings.Replace(configMapFile(name, value), "  name: "+name+"\n", fmt.Sprintf("  name: %s\n  annotations: {%s: %s}\n", name, driftKey, mode), 1)
}

// edit changes a ConfigMap's value as a field manager.
func (w *world) edit(name, value, manager string) {
	w.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{"value":%q}}`, value))
	if err := w.client.Patch(w.Context(), w.configMap(name), patch, client.FieldOwner(manager)); err != nil {
		w.Fatal(err)
	}
}

// read returns a ConfigMap's value now.
func (w *world) read(name string) string {
	w.Helper()
	cm := w.configMap(name)
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(cm), cm); err != nil {
		w.Fatal(err)
	}
	return cm.Data["value"]
}

// drifted waits until obj has a Drifted condition that says all of words.
func (w *world) drifted(obj *kustomizev1.Kustomization, words ...string) {
	w.Helper()
	until(w, obj, fmt.Sprintf("Drifted says %q", words), func() bool {
		c := apimeta.FindStatusCondition(obj.Status.Conditions, "Drifted")
		if c == nil || c.Status != "True" {
			return false
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return false
			}
		}
		return true
	})
}

func (w *world) notDrifted(obj *kustomizev1.Kustomization) {
	w.Helper()
	until(w, obj, "nothing has drifted", func() bool { return apimeta.FindStatusCondition(obj.Status.Conditions, "Drifted") == nil })
}

func TestDriftIsWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1"), "c.yaml": modedFile("c", "1", "correct")})
	w.source()
	ks := w.kustomization("shop", drifting("warn"))
	w.applied(ks, first)

	w.edit("a", "2", "somebody")
	w.drifted(ks, "ConfigMap/"+w.Namespace+"/a", ".data.value", "somebody")
	w.event(ks, "DriftDetected", "ConfigMap/"+w.Namespace+"/a")
	w.edit("c", "2", "somebody")
	w.value("c", "1") // its own mode wins, and a run for c leaves a as it is
	if got := w.read("a"); got != "2" {
		t.Errorf("a is %q: it must be left as it is", got)
	}
	if err := w.client.Delete(t.Context(), w.configMap("b")); err != nil {
		t.Fatal(err)
	}
	w.drifted(ks, "/a differs", "/b was deleted")
	if !apimeta.IsStatusConditionTrue(ks.Status.Conditions, "Ready") {
		t.Error("drift that is tolerated does not make it unready")
	}

	second := w.commit(map[string]string{"d.yaml": configMapFile("d", "1")})
	w.fetch()
	w.applied(ks, second)
	if got := w.read("a"); got != "2" {
		t.Errorf("a is %q: a revision that does not change it leaves it", got)
	}
	third := w.commit(map[string]string{"a.yaml": configMapFile("a", "3")})
	w.fetch()
	w.applied(ks, third)
	w.value("a", "3") // a revision that changes it applies it
	w.drifted(ks, "/b was deleted")

	w.request(ks)
	w.value("b", "1") // who asks for a reconcile has it put back
	w.notDrifted(ks)
}

func TestDriftIsKnownAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", drifting("warn"))
	w.applied(ks, first)
	w.edit("a", "2", "somebody")
	w.drifted(ks, "/a")
	w.stop()
	w.edit("a", "3", "somebody-else")
	w.startAgent()
	w.drifted(ks, "/a", "somebody-else")
	if got := w.read("a"); got != "3" {
		t.Errorf("a is %q: a restart is no reason to put it back", got)
	}
	update(w, ks, drifting("correct"))
	w.value("a", "1")
	w.notDrifted(ks)
}

func TestDriftIsIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": modedFile("a", "1", "ignore"), "b.yaml": configMapFile("b", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	w.edit("a", "2", "somebody")
	token := w.request(ks)
	until(w, ks, "the request is answered", func() bool { return ks.Status.LastHandledReconcileAt == token })
	w.edit("b", "2", "somebody")
	w.value("b", "1")
	if got := w.read("a"); got != "2" {
		t.Errorf("a is %q: neither a request nor a run for b puts it back", got)
	}
	w.notDrifted(ks)
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "3")})
	w.fetch()
	w.applied(ks, second)
	w.value("a", "3")
}

// TestDriftModeOnTheObjectInTheCluster is for who must not be undone right now, and has no time for a commit.
func TestDriftModeOnTheObjectInTheCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	a := w.configMap("a")
	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) {
		cm.Annotations = map[string]string{driftKey: "warn"}
		cm.Data["value"] = "2"
	})
	w.drifted(ks, "/a", ".data.value")
	update(w, a, func(cm *corev1.ConfigMap) { delete(cm.Annotations, driftKey) })
	w.value("a", "1")
}

func TestDriftModeThatNobodyKnowsIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a/a.yaml": modedFile("a", "1", "later"), "b/b.yaml": configMapFile("b", "1")})
	w.source()
	object := w.kustomization("object", in("./a"))
	if message := w.refused(object, "ReconciliationFailed"); !strings.Contains(message, "correct, warn or ignore") {
		t.Errorf("the message must say what there is: %q", message)
	}
	whole := w.kustomization("whole", in("./b"), drifting("later"))
	if message := w.refused(whole, "InvalidAnnotation"); !strings.Contains(message, "correct, warn or ignore") {
		t.Errorf("the message must say what there is: %q", message)
	}
}
