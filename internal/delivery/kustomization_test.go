package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestDelivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)

	a := w.configMap("a")
	until(w, a, "it is owned", func() bool { return a.Labels["kustomize.toolkit.fluxcd.io/name"] == "shop" })
	if got := a.Labels["kustomize.toolkit.fluxcd.io/namespace"]; got != w.Namespace {
		t.Errorf("owner label: namespace %q, want %q", got, w.Namespace)
	}
	if !slices.ContainsFunc(a.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == "kustomize-controller" && f.Operation == metav1.ManagedFieldsOperationApply
	}) {
		t.Errorf("the field manager must be Flux's, so that the object can change hands: %v", a.ManagedFields)
	}
	var ids []string
	for _, e := range ks.Status.Inventory.Entries {
		ids = append(ids, e.ID+" "+e.Version)
	}
	want := []string{w.Namespace + "_a__ConfigMap v1", w.Namespace + "_b__ConfigMap v1"}
	if !slices.Equal(ids, want) {
		t.Errorf("inventory %v, want %v", ids, want)
	}
	if got := ready(ks.Status.Conditions); got.Reason != meta.ReconciliationSucceededReason || got.Message != "Applied revision: "+revision {
		t.Errorf("Ready is %s %q", got.Reason, got.Message)
	}
	if apimeta.FindStatusCondition(ks.Status.Conditions, meta.ReconcilingCondition) != nil {
		t.Error("Reconciling stays although nothing is under way")
	}
	if len(ks.Status.History) != 1 || ks.Status.History[0].Metadata["revision"] != revision {
		t.Errorf("history %v", ks.Status.History)
	}
	w.event(ks, meta.ReconciliationSucceededReason, "revision "+revision+"\nConfigMap/"+w.Namespace+"/a created")
}

// event waits for an event about obj that contains text.
func (w *world) event(obj client.Object, reason, text string) {
	w.Helper()
	var seen []string
	w.poll("an event "+reason+" with "+text, func() bool {
		var events corev1.EventList
		if err := w.client.List(w.Context(), &events, client.InNamespace(w.Namespace)); err != nil {
			w.Fatal(err)
		}
		seen = nil
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			seen = append(seen, e.Reason+": "+e.Message)
			return e.InvolvedObject.Name == obj.GetName() && e.Reason == reason && strings.Contains(e.Message, text)
		})
	}, &seen)
}

func TestUpdateTouchesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"deploy/a.yaml": configMapFile("a", "1"), "deploy/b.yaml": configMapFile("b", "1"), "README.md": "one"})
	w.source()
	ks := w.kustomization("shop", in("./deploy"))
	w.applied(ks, first)
	b := w.configMap("b")
	until(w, b, "it is there", func() bool { return true })
	version := b.ResourceVersion

	second := w.commit(map[string]string{"deploy/a.yaml": configMapFile("a", "2")})
	w.fetch()
	w.applied(ks, second)
	w.value("a", "2")
	until(w, b, "it is there", func() bool { return true })
	if b.ResourceVersion != version {
		t.Error("an object that did not change was written")
	}

	w.requests.take()
	third := w.commit(map[string]string{"README.md": "two"})
	w.fetch()
	w.applied(ks, third)
	for _, r := range w.requests.take() {
		if strings.Contains(r, "configmaps") {
			t.Errorf("a commit that does not concern the build costs %s", r)
		}
	}
}

func TestRequestWithoutChangeCostsOneWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)

	w.requests.take()
	token := w.request(ks)
	until(w, ks, "the request is answered", func() bool { return ks.Status.LastHandledReconcileAt == token })
	want := []string{fmt.Sprintf("PATCH /apis/kustomize.toolkit.fluxcd.io/v1/namespaces/%s/kustomizations/shop/status", w.Namespace)}
	if got := w.requests.take(); !slices.Equal(got, want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

func TestDriftIsPutBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)

	a := w.configMap("a")
	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["value"] = "by hand" })
	w.value("a", "1")

	until(w, a, "it is there", func() bool { return true })
	if err := w.client.Delete(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.value("a", "1")

	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { delete(cm.Labels, "kustomize.toolkit.fluxcd.io/name") })
	until(w, a, "its label is back", func() bool { return a.Labels["kustomize.toolkit.fluxcd.io/name"] == "shop" })

	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["other"] = "not ours" })
	w.applied(ks, revision)
	until(w, a, "it keeps what others added", func() bool { return a.Data["other"] == "not ours" })
}

func TestPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := configMapFile("kept", "1") + "# kept by annotation\n"
	kept = strings.Replace(kept, "  name: kept\n", "  name: kept\n  annotations:\n    kustomize.toolkit.fluxcd.io/prune: disabled\n", 1)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "gone.yaml": configMapFile("gone", "1"), "kept.yaml": kept})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)

	second := w.remove("gone.yaml", "kept.yaml")
	w.fetch()
	w.applied(ks, second)
	w.gone(w.configMap("gone"))
	w.value("kept", "1")
	w.value("a", "1")
	if got := len(ks.Status.Inventory.Entries); got != 1 {
		t.Errorf("the inventory has %d entries, want 1", got)
	}
}

func TestWithoutPruneNothingIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "left.yaml": configMapFile("left", "1")})
	w.source()
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) { k.Spec.Prune = false })
	w.applied(ks, first)
	second := w.remove("left.yaml")
	w.fetch()
	w.applied(ks, second)
	w.value("left", "1")
}

func TestDeletionPolicies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prune  bool
		policy string
		stays  bool
	}{
		"mirror, prune":    {prune: true},
		"mirror, no prune": {prune: false, stays: true},
		"delete":           {prune: false, policy: kustomizev1.DeletionPolicyDelete},
		"wait":             {prune: true, policy: kustomizev1.DeletionPolicyWaitForTermination},
		"orphan":           {prune: true, policy: kustomizev1.DeletionPolicyOrphan, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
			w.source()
			ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
				k.Spec.Prune, k.Spec.DeletionPolicy = tc.prune, tc.policy
			})
			w.applied(ks, revision)
			if err := w.client.Delete(t.Context(), ks); err != nil {
				t.Fatal(err)
			}
			w.gone(ks)
			if tc.stays {
				w.value("a", "1")
			} else {
				w.gone(w.configMap("a"))
			}
		})
	}
}

func TestSuspend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	update(w, ks, func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true })

	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.fetch()
	other := w.kustomization("witness", func(k *kustomizev1.Kustomization) { k.Spec.NamePrefix = "w-" })
	w.applied(other, second) // what was done for another one would have been done for the suspended one too
	w.value("a", "1")

	update(w, ks, func(k *kustomizev1.Kustomization) { k.Spec.Suspend = false })
	w.applied(ks, second)
	w.value("a", "2")
}

func TestAgentStartsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1")})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)
	w.stop()

	a := w.configMap("a")
	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["value"] = "while nobody looked" })
	second := w.remove("b.yaml")
	w.options.DataDir = t.TempDir() // as a pod that has lost its emptyDir
	w.startAgent()
	w.fetch()
	w.applied(ks, second)
	w.value("a", "1")
	w.gone(w.configMap("b"))
}
