package delivery_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWhatComesWhileTheStatusIsWritten has people change a Kustomization just before the agent writes what came of an attempt. The cache shows
// it first as it was between the two: with their change and without the status. Nothing else wakes the agent, so what it doesn't see then is
// lost for hours.
func TestWhatComesWhileTheStatusIsWritten(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		change func(w *world, obj *kustomizev1.Kustomization)
		seen   func(obj *kustomizev1.Kustomization) bool
	}{
		"Request": {"somebody asks for a reconcile", func(w *world, obj *kustomizev1.Kustomization) { w.request(obj) }, func(obj *kustomizev1.Kustomization) bool {
			return obj.Status.LastHandledReconcileAt == obj.Annotations["reconcile.fluxcd.io/requestedAt"]
		}},
		"Spec": {"the spec changes", func(w *world, obj *kustomizev1.Kustomization) {
			update(w, obj, func(obj *kustomizev1.Kustomization) {
				obj.Spec.Timeout = &metav1.Duration{Duration: time.Duration(time.Now().UnixNano())}
			})
		}, func(obj *kustomizev1.Kustomization) bool { return obj.Status.ObservedGeneration == obj.Generation }},
		"Deletion": {"it is deleted", func(w *world, obj *kustomizev1.Kustomization) {
			if err := w.client.Delete(w.Context(), obj); err != nil {
				w.Error(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit(map[string]string{"a.yaml": configMapFile("a", "0")})
			w.source()
			for round := range 8 {
				ks := w.kustomization("shop")
				until(w, ks, "its objects are applied", func() bool { return ks.Status.LastAppliedRevision != "" })
				written := make(chan struct{})
				meanwhile := sync.OnceFunc(func() {
					tc.change(w, ks.DeepCopy())
					close(written)
				})
				w.requests.let(func(req *http.Request) bool {
					if req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "/kustomizations/shop/status") {
						meanwhile()
					}
					return false
				}, nil)
				w.commit(map[string]string{"a.yaml": configMapFile("a", strconv.Itoa(round+1))})
				w.fetch()
				<-written
				w.requests.let(nil, nil)
				if tc.seen != nil {
					until(w, ks, tc.reason+", and the agent has seen it", func() bool { return tc.seen(ks) })
					if err := w.client.Delete(w.Context(), ks); err != nil {
						t.Fatal(err)
					}
				}
				w.gone(ks)
			}
		})
	}
}
