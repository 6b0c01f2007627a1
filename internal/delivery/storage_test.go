package delivery_test

import (
	"os"
	"path/filepath"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
)

// TestStorageThatFails is told in a condition of its own, what was delivered stays, and it is over when the disk is well again.
func TestStorageThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, first)

	tmp := filepath.Join(w.options.DataDir, "store", "tmp")
	if err := os.RemoveAll(tmp); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tmp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := w.commit(map[string]string{"a.yaml": configMapFile("a", "2")})
	w.fetch()
	w.notFetched(repo, sourcev1.StorageOperationFailedCondition)
	if !apimeta.IsStatusConditionTrue(repo.Status.Conditions, sourcev1.StorageOperationFailedCondition) {
		t.Errorf("conditions %+v", repo.Status.Conditions)
	}
	update(w, w.configMapThere("a"), func(cm *corev1.ConfigMap) { cm.Data["value"] = "by hand" })
	w.value("a", "1")

	if err := os.Remove(tmp); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	w.applied(ks, second) // tried again by itself
	until(w, repo, "the condition is gone", func() bool {
		return apimeta.FindStatusCondition(repo.Status.Conditions, sourcev1.StorageOperationFailedCondition) == nil
	})
}

func (w *world) configMapThere(name string) *corev1.ConfigMap {
	w.Helper()
	cm := w.configMap(name)
	until(w, cm, "it is there", func() bool { return true })
	return cm
}
