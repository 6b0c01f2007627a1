package delivery_test

import (
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
)

func applying(mode string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Annotations = map[string]string{"slipway.dev/apply": mode} }
}

// TestContinueOnError applies what is valid of a set, says what is not, and prunes nothing meanwhile.
func TestContinueOnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "old.yaml": configMapFile("old", "1")})
	w.source()
	ks := w.kustomization("shop", applying("continue-on-error"))
	w.applied(ks, first)

	w.commit(map[string]string{
		"a.yaml":      configMapFile("a", "2"),
		"b.yaml":      configMapFile("b", "1"),
		"broken.yaml": strings.Replace(configMapFile("broken", "1"), "\ndata:\n", "\ndatum:\n", 1),
		"kind.yaml":   "apiVersion: nowhere.example/v1\nkind: Nothing\nmetadata: {name: nothing}\n",
	})
	w.remove("old.yaml")
	w.fetch()
	message := w.refused(ks, meta.ReconciliationFailedReason)
	for _, word := range []string{"2 of 4 objects", "ConfigMap/" + w.Namespace + "/broken", "datum", "Nothing/" + w.Namespace + "/nothing", "CRD"} {
		if !strings.Contains(message, word) {
			t.Errorf("the message must say %q: %s", word, message)
		}
	}
	w.value("a", "2")
	w.value("b", "1")
	w.value("old", "1") // not pruned
	w.edit("b", "9", "somebody")
	w.value("b", "1") // what was applied is kept

	fixed := w.commit(map[string]string{"broken.yaml": configMapFile("broken", "1")})
	w.remove("kind.yaml")
	w.fetch()
	_ = fixed
	until(w, ks, "it is ready", func() bool { return ready(ks.Status.Conditions).Status == "True" })
	w.value("broken", "1")
	w.gone(w.configMap("old"))
}

func TestAtomicIsTheDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "broken.yaml": strings.Replace(configMapFile("broken", "1"), "\ndata:\n", "\ndatum:\n", 1)})
	w.source()
	ks := w.kustomization("shop", applying("atomic"))
	w.refused(ks, meta.ReconciliationFailedReason)
	w.gone(w.configMap("a"))
	update(w, ks, applying("sometimes"))
	if message := w.refused(ks, "InvalidAnnotation"); !strings.Contains(message, "continue-on-error") {
		t.Errorf("the message must say what there is: %q", message)
	}
}
