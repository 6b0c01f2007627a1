package observe_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// foreign is an API server of somebody else's with ConfigMaps that have names of a size, in pages without end or up to a number.
func foreign(t *testing.T, size, objects int, asked *atomic.Int64) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch req.URL.Path {
		case "/api":
			_, _ = fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/apis":
			_, _ = fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
		case "/api/v1":
			_, _ = fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","namespaced":true,"kind":"ConfigMap","verbs":["list"]}]}`)
		default:
			q := req.URL.Query()
			if q.Get("watch") != "" {
				<-req.Context().Done()
				return
			}
			asked.Add(1)
			limit, _ := strconv.Atoi(q.Get("limit"))
			from, _ := strconv.Atoi(q.Get("continue"))
			next := strconv.Itoa(from + limit)
			if objects > 0 && from+limit >= objects {
				limit, next = objects-from, ""
			}
			_, _ = fmt.Fprintf(w, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":%q},"items":[`, next)
			for i := range limit {
				if i > 0 {
					_, _ = fmt.Fprint(w, ",")
				}
				_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s%d","namespace":"shop"}}`, strings.Repeat("n", size), from+i)
			}
			_, _ = fmt.Fprint(w, "]}")
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return &rest.Config{Host: server.URL}
}

func watchForeign(t *testing.T, cfg *rest.Config, most, document int64) (_ *kube.Allowance, _ *observe.Pool, unwatched int) {
	t.Helper()
	allowance := kube.NewAllowance(most)
	bounds := &kube.Bounds{Allowance: allowance, Document: document}
	cfg.Wrap(bounds.Wrap)
	pool := observe.New(clients(t, cfg), observe.Options{Allowance: allowance, SyncTimeout: time.Hour, FirstBackoff: time.Hour, MaxBackoff: time.Hour})
	t.Cleanup(bounds.Close)
	t.Cleanup(pool.Close)
	blind, err := pool.Ensure(t.Context(), "shop/shop", kube.Identity{}, []kube.Ref{{Version: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	return allowance, pool, len(blind)
}

func TestAListWithoutEndIsGivenUp(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	allowance, pool, unwatched := watchForeign(t, foreign(t, 8<<10, 0, &asked), 16<<20, 8<<20)
	if unwatched != 1 {
		t.Error("what has no end counts as watched")
	}
	for _, w := range pool.Watches() {
		var large *kube.TooLargeError
		if !errors.As(w.Err, &large) || w.Objects > 0 {
			t.Errorf("%d objects are kept, the error is %v; want none, and that they are too large", w.Objects, w.Err)
		}
	}
	if err := allowance.Keep(15 << 20); err != nil { // all but the kinds
		t.Errorf("what is no longer kept still counts: %v", err)
	}
}

func TestLargePagesAreAskedForInSmallerOnes(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	_, pool, unwatched := watchForeign(t, foreign(t, 8<<10, 700, &asked), 16<<20, 3<<20) // 4 MiB a page
	if unwatched != 0 {
		t.Errorf("not watched: %v", pool.Watches())
	}
	for _, w := range pool.Watches() {
		if w.Objects != 700 {
			t.Errorf("%d objects are known, want 700", w.Objects)
		}
	}
	if n := asked.Load(); n > 5 {
		t.Errorf("it took %d requests", n)
	}
}
