package observe_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// TestJudgedAnew: when the rules about a kind change, its objects are read anew, with their bodies if that is needed now, what changes is told,
// and in between nothing that was known is forgotten. Other kinds are left alone.
func TestJudgedAnew(t *testing.T) {
	w := newWorld(t, nil)
	var (
		strict  atomic.Bool
		changed func(func(schema.GroupVersionKind) bool)
		stopped bool
	)
	pool := observe.New(clients(t, w.config), observe.Options{
		Assess: func(obj *unstructured.Unstructured) observe.Verdict {
			if value, _, _ := unstructured.NestedString(obj.Object, "data", "k"); strict.Load() && value == "1" && obj.GetNamespace() == w.env.Namespace {
				return observe.Verdict{State: "Degraded", Message: "it is 1"}
			}
			return observe.Verdict{State: observe.Healthy}
		},
		NeedsBody: func(gvk schema.GroupVersionKind) bool { return strict.Load() && gvk.Kind == "ConfigMap" },
		Rules: func(fn func(func(schema.GroupVersionKind) bool)) func() {
			changed = fn
			return func() { stopped = true }
		},
		FirstBackoff: 10 * time.Millisecond, MaxBackoff: 200 * time.Millisecond, SyncTimeout: 30 * time.Second,
	})
	told := make(chan observe.Event, 100)
	pool.Subscribe(func(e observe.Event) { told <- e })
	one, two := w.applyConfigMap("one", "1"), w.applyConfigMap("two", "2")
	account := kube.Ref{Version: "v1", Kind: "ServiceAccount", Namespace: w.env.Namespace, Name: "theirs"}
	w.apply(account, `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"theirs",`+owned+`}}`)
	if unwatched, err := pool.Ensure(t.Context(), "shop", kube.Identity{}, []kube.Ref{one, two, account}); err != nil || len(unwatched) > 0 {
		t.Fatal(unwatched, err)
	}
	if s, _, _ := pool.Get(one); s.Health.State != observe.Healthy {
		t.Fatalf("before, it is healthy: %+v", s)
	}
	w.eventually("the watch runs", func() bool { return w.line.count("serviceaccounts", "watch=true") == 1 })
	accounts := w.line.count("serviceaccounts")

	strict.Store(true)
	changed(func(gvk schema.GroupVersionKind) bool { return gvk.Kind == "ConfigMap" })
	w.eventually("the verdict is another one", func() bool {
		if _, exists, watched := pool.Get(two); !exists || !watched {
			t.Fatal("what was known is forgotten")
		}
		s, _, _ := pool.Get(one)
		return s.Health.State == "Degraded"
	})
	e := <-told
	if e.Ref != one || e.Old == nil || e.New == nil || e.New.Health.Message != "it is 1" {
		t.Errorf("what changed is told, and nothing else: %+v", e)
	}
	w.applyConfigMap("two", "1")
	w.eventually("later changes are judged by the new rules", func() bool {
		s, _, _ := pool.Get(two)
		return s.Health.State == "Degraded"
	})
	if n := w.line.count("serviceaccounts"); n != accounts {
		t.Errorf("%d requests about another kind", n-accounts)
	}

	strict.Store(false)
	w.line.drop(false, false)
	changed(func(gvk schema.GroupVersionKind) bool { return strings.HasSuffix(gvk.Kind, "Map") })
	w.eventually("and by the old ones again", func() bool {
		s, _, _ := pool.Get(one)
		return s.Health.State == observe.Healthy
	})
	pool.Close()
	if !stopped {
		t.Error("a pool that is closed must not be called any more")
	}
}
