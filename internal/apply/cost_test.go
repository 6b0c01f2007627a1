package apply_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/internal/apply"
)

func patchTypeOf(s string) types.PatchType { return types.PatchType(s) }

// shop is a set of the usual kind: light objects and some that act.
func (w *world) shop() []*unstructured.Unstructured {
	return w.objects(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cart}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: cart}
stringData: {token: hunter2hunter2}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: app, image: cart:1}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: cart}
spec: {defaultBackend: {service: {name: cart, port: {number: 80}}}}`)
}

func count(requests []string) map[string]int {
	out := map[string]int{}
	for _, r := range requests {
		verb, _, _ := strings.Cut(r, " ")
		out[verb]++
	}
	return out
}

func TestCost(t *testing.T) {
	w := newWorld(t)
	objs := w.shop()

	got, requests := w.mustApply(objs)
	for name, action := range got {
		if action != apply.Created {
			t.Errorf("first apply: %s was %s, want created", name, action)
		}
	}
	// Six writes: the Deployment proves itself, and what is written before it is light.
	if diff := cmp.Diff(map[string]int{"PATCH": 6}, count(requests)); diff != "" {
		t.Errorf("a new set: requests (-want +got):\n%s", diff)
	}

	got, requests = w.mustApply(objs)
	if len(requests) != 0 {
		t.Errorf("nothing changed: want no request, got %v", requests)
	}
	if got["Deployment/cart"] != apply.Unchanged || len(got) != 6 {
		t.Errorf("nothing changed: want all unchanged, got %v", got)
	}

	_ = unstructured.SetNestedField(objs[1].Object, "2", "data", "a")
	got, requests = w.mustApply(objs)
	if diff := cmp.Diff(map[string]int{"PATCH": 1}, count(requests)); diff != "" {
		t.Errorf("one object changed: requests (-want +got):\n%s", diff)
	}
	if got["ConfigMap/cart"] != apply.Configured {
		t.Errorf("one object changed: want it configured, got %v", got)
	}

	_ = unstructured.SetNestedField(objs[1].Object, "3", "data", "a")
	objs[4] = w.deployment("cart", "cart:2")
	_, requests = w.mustApply(objs)
	if diff := cmp.Diff(map[string]int{"PATCH": 2, "PATCH?dryRun": 1}, count(requests)); diff != "" {
		t.Errorf("two objects changed: requests (-want +got):\n%s", diff)
	}
}

func TestCostAfterRestart(t *testing.T) {
	w := newWorld(t)
	objs := w.shop()
	w.mustApply(objs)
	w.later() // the times in managedFields are of another second
	w.restart()

	got, requests := w.mustApply(objs)
	if diff := cmp.Diff(map[string]int{"PATCH?dryRun": 6}, count(requests)); diff != "" {
		t.Errorf("after a restart: want one look at each object and no write (-want +got):\n%s", diff)
	}
	if got["Deployment/cart"] != apply.Unchanged {
		t.Errorf("after a restart: %v", got)
	}
	if _, requests = w.mustApply(objs); len(requests) != 0 {
		t.Errorf("after that: want no request, got %v", requests)
	}

	_ = unstructured.SetNestedField(objs[1].Object, "2", "data", "a")
	w.later()
	w.restart()
	got, requests = w.mustApply(objs)
	if diff := cmp.Diff(map[string]int{"PATCH?dryRun": 6, "GET": 1, "PATCH": 1}, count(requests)); diff != "" {
		t.Errorf("a change over a restart: requests (-want +got):\n%s", diff)
	}
	if got["ConfigMap/cart"] != apply.Configured {
		t.Errorf("a change over a restart: %v", got)
	}
}

// later waits until what is written now gets another time in managedFields than what was written before, and has the engine think that
// more has passed.
func (w *world) later() {
	w.t.Helper()
	was := time.Now().Unix()
	w.eventually("the second is over", func() bool { return time.Now().Unix() > was })
	w.clock = w.clock.Add(laterBy)
}

func TestCostWithoutWatch(t *testing.T) {
	w := newWorld(t)
	engine := apply.New(w.clients, nil, apply.Settings{})
	objs := w.shop()
	if _, err := engine.Apply(t.Context(), objs, w.options()); err != nil {
		t.Fatal(err)
	}
	w.seen.reset()
	result, err := engine.Apply(t.Context(), objs, w.options())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"PATCH": 6}, count(w.seen.writes())); diff != "" {
		t.Errorf("what nobody watches is written again, without a proof that it had before (-want +got):\n%s", diff)
	}
	for name, action := range actions(result.Changes) {
		if action != apply.Unchanged {
			t.Errorf("%s was %s, want unchanged", name, action)
		}
	}
}

func TestManyObjects(t *testing.T) {
	w := newWorld(t)
	var objs []*unstructured.Unstructured
	for i := range 60 {
		objs = append(objs, w.configMap(fmt.Sprintf("c%02d", i), map[string]any{"i": fmt.Sprint(i)}))
	}
	if _, requests := w.mustApply(objs); len(requests) != 60 {
		t.Errorf("60 new ConfigMaps: want 60 requests, got %d", len(requests))
	}
	_ = unstructured.SetNestedField(objs[30].Object, "x", "data", "i")
	if _, requests := w.mustApply(objs); len(requests) != 1 {
		t.Errorf("one of 60 changed: want 1 request, got %v", requests)
	}
}
