package observe_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/kube"
)

// TestInputs: what an owner reads may change in any field.
func TestInputs(t *testing.T) {
	w := newWorld(t, nil)
	ref := w.configMap("settings")
	unwatched, err := w.pool.EnsureInputs(t.Context(), "shop", kube.Identity{}, []kube.Ref{ref})
	if err != nil || len(unwatched) != 0 {
		t.Fatalf("what isn't there can be watched, too: %v, %v", unwatched, err)
	}
	w.apply(ref, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"}}`)
	w.eventually("it is told that it came", func() bool { came, _, _ := w.told(ref); return came == 1 })
	w.patch(ref, "somebody", types.MergePatchType, `{"data":{"a":"b"}}`)
	w.eventually("a change of a field that isn't ours is told", func() bool { _, changed, _ := w.told(ref); return changed == 1 })
	w.delete(ref)
	w.eventually("its end is told", func() bool { _, _, went := w.told(ref); return went == 1 })
	if _, err := w.pool.EnsureNamed(t.Context(), "shop", kube.Identity{}, nil); err != nil || len(w.pool.Watches()) != 1 {
		t.Errorf("inputs are held apart from what is watched by name: %v, %v", w.pool.Watches(), err)
	}
	if _, err := w.pool.EnsureInputs(t.Context(), "shop", kube.Identity{}, nil); err != nil || len(w.pool.Watches()) != 0 {
		t.Errorf("want nothing watched any more, got %v, %v", w.pool.Watches(), err)
	}
}
