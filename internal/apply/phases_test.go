package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

const configMapsResource = "configmaps"

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: configMapsResource}

func (w *world) clientOf(account string) *kube.Client {
	w.t.Helper()
	c, err := w.clients.For(kube.Identity{Namespace: w.env.Namespace, ServiceAccount: account})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// definition is a CRD of a group of the test's own, so that tests don't see each other's.
func (w *world) definition() string {
	return strings.ReplaceAll(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.GROUP}
spec:
  group: GROUP
  names: {kind: Boat, plural: boats, singular: boat, listKind: BoatList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {sails: {type: integer, maximum: 9}}}}`, "GROUP", w.group())
}

func (w *world) group() string { return w.env.Namespace + ".dev" }

func (w *world) boat(name string) string {
	return "apiVersion: " + w.group() + "/v1\nkind: Boat\nmetadata: {name: " + name + "}\nspec: {sails: 2}"
}

func TestDefinitionAndObjectInOneSet(t *testing.T) {
	w := newWorld(t)
	ns := w.env.Namespace + "-more"
	objs := w.objects(w.boat("a") + "\n---\n" + w.boat("b") + "\n---" + w.definition() + `
---
apiVersion: v1
kind: Namespace
metadata: {name: ` + ns + `}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: ` + ns + `}`)
	got, requests := w.mustApply(objs)
	for _, name := range []string{"Boat/a", "Boat/b", "ConfigMap/c", "Namespace/" + ns, "CustomResourceDefinition/boats." + w.group()} {
		if got[name] != apply.Created {
			t.Errorf("%s was %q, want created; requests %v", name, got[name], requests)
		}
	}
	w.watch(objs) // the kind that the set defined can be watched now
	w.eventually("everything is seen", func() bool {
		return w.engine.InSync(w.owner, kube.RefOf(objs[0])) && w.engine.InSync(w.owner, kube.RefOf(objs[2]))
	})
	if _, requests = w.mustApply(objs); len(requests) != 0 {
		t.Errorf("nothing changed: want no request, got %v", requests)
	}
}

func TestDefinitionThatIsNotEstablished(t *testing.T) {
	w := newWorld(t)
	objs := w.objects(w.boat("a") + "\n---" + w.definition())
	// Another CRD has the plural name already: the new one is never established.
	taken := w.objects(strings.NewReplacer("name: boats.", "name: ships.", "plural: boats", "plural: ships").Replace(w.definition()))
	w.mustApply(taken)
	w.patience = time.Second // what it waits for doesn't come
	w.restart()
	got, _, err := w.apply(objs)
	var incomplete *apply.Incomplete
	if !errors.As(err, &incomplete) || len(incomplete.Waiting) != 1 || incomplete.Waiting[0].Ref != kube.RefOf(objs[1]) {
		t.Fatalf("want Incomplete that names the CRD, got %v", err)
	}
	if !strings.Contains(err.Error(), "to be established") || got["Boat/a"] != "" {
		t.Errorf("got %v and %v", err, got)
	}
	_, _, err = w.apply(objs)
	if !errors.As(err, &incomplete) {
		t.Errorf("the next attempt must wait as well, got %v", err)
	}
	for name, observer := range map[string]apply.Observer{"watched": w.pool, "unwatched": nil} {
		annotate(objs[1], "test", name) // so that it is written again
		if err := w.applyPatiently(observer, objs); !errors.As(err, &incomplete) {
			t.Errorf("%s: what was waited for before must not be waited for again, got %v", name, err)
		}
	}
	w.deleteNow(kube.RefOf(taken[0]))
	w.eventually("the set can be finished", func() bool {
		_, _, err = w.apply(objs)
		return err == nil
	})
}

func TestForce(t *testing.T) {
	other := func(d *unstructured.Unstructured) *unstructured.Unstructured {
		_ = unstructured.SetNestedField(d.Object, "other", "spec", "selector", "matchLabels", "app")
		_ = unstructured.SetNestedField(d.Object, "other", "spec", "template", "metadata", "labels", "app")
		return d
	}
	cases := map[string]struct {
		reason string
		force  []func(*apply.Options)
		note   bool
		more   bool
	}{
		"option":                  {reason: "spec.force", force: []func(*apply.Options){forced}},
		"annotation":              {reason: "the object's annotation", note: true},
		"option, proved before":   {reason: "spec.force in a set with other changes", force: []func(*apply.Options){forced}, more: true},
		"annotation, more change": {reason: "the annotation in a set with other changes", note: true, more: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.deployment("app", "app:1")
			ref := kube.RefOf(first)
			w.mustApply(objectsOf(first, w.deployment("aaa", "a:1")))
			was := w.get(ref).GetUID()
			want := other(w.deployment("app", "app:1"))
			if tc.note {
				annotate(want, "force", "enabled")
			}
			set := objectsOf(want, w.deployment("aaa", "a:1"))
			if tc.more {
				set[1] = w.deployment("aaa", "a:2")
			}
			got, requests := w.mustApply(set, tc.force...)
			if got["Deployment/app"] != apply.Recreated || w.get(ref).GetUID() == was {
				t.Errorf("%s: want it created again, got %v with %v", tc.reason, got, requests)
			}
		})
	}
}

func TestForceNeverDeletesWhatCantBeReplaced(t *testing.T) {
	w := newWorld(t)
	w.mustApply(objectsOf(w.deployment("app", "app:1")))
	want := w.deployment("app", "app:1")
	_ = unstructured.SetNestedField(want.Object, "other", "spec", "selector", "matchLabels", "app")
	_ = unstructured.SetNestedField(want.Object, "third", "spec", "template", "metadata", "labels", "app")
	was := w.get(kube.RefOf(want)).GetUID()
	if _, _, err := w.apply(objectsOf(want), forced); err == nil {
		t.Error("want an error: the selector doesn't select")
	}
	if w.get(kube.RefOf(want)).GetUID() != was {
		t.Error("what ran was deleted although nothing can replace it")
	}
}

func TestForceWaitsForFinalizers(t *testing.T) {
	w := newWorld(t)
	first := w.deployment("app", "app:1")
	first.SetFinalizers([]string{"slipway.dev/test"})
	ref := kube.RefOf(first)
	w.mustApply(objectsOf(first))
	want := w.deployment("app", "app:1")
	_ = unstructured.SetNestedField(want.Object, "other", "spec", "selector", "matchLabels", "app")
	_ = unstructured.SetNestedField(want.Object, "other", "spec", "template", "metadata", "labels", "app")
	want.SetFinalizers([]string{"slipway.dev/test"})
	w.patience = time.Second // nobody takes the finalizer away
	w.restart()
	w.mustApply(objectsOf(first)) // the engine that begins looks at it once
	_, _, err := w.apply(objectsOf(want), forced)
	var incomplete *apply.Incomplete
	if !errors.As(err, &incomplete) || !strings.Contains(err.Error(), "slipway.dev/test") {
		t.Fatalf("want Incomplete that names the finalizer, got %v", err)
	}
	if err := w.applyPatiently(w.pool, objectsOf(want), forced); !errors.As(err, &incomplete) || !strings.Contains(err.Error(), "slipway.dev/test") {
		t.Errorf("what was waited for before must not be waited for again, got %v", err)
	}
	w.someoneElse(ref, "person", mergePatch, `{"metadata":{"finalizers":null}}`)
	w.eventually("it is created again", func() bool {
		_, _, err := w.apply(objectsOf(want), forced)
		return err == nil && w.get(ref).GetDeletionTimestamp() == nil
	})
}

// applyPatiently applies with an engine that would wait for ever, for a caller who doesn't.
func (w *world) applyPatiently(observer apply.Observer, objs []*unstructured.Unstructured, change ...func(*apply.Options)) error {
	w.t.Helper()
	opts := w.options()
	for _, c := range change {
		c(&opts)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 90*time.Second)
	defer cancel()
	_, err := apply.New(w.clients, observer, apply.Settings{Patience: time.Hour}).Apply(ctx, objs, opts)
	return err
}

func TestAnnotations(t *testing.T) {
	cases := map[string]struct {
		reason     string
		annotation [2]string
		exists     bool
		want       apply.Action
		value      string
	}{
		"ignore":             {reason: "ssa: Ignore is never applied", annotation: [2]string{"ssa", "Ignore"}, exists: true, want: apply.Skipped, value: "theirs"},
		"disabled":           {reason: "reconcile: disabled is never applied", annotation: [2]string{"reconcile", "disabled"}, exists: true, want: apply.Skipped, value: "theirs"},
		"if not present":     {reason: "it is there already", annotation: [2]string{"ssa", "IfNotPresent"}, exists: true, want: apply.Skipped, value: "theirs"},
		"if not present yet": {reason: "it isn't there yet", annotation: [2]string{"ssa", "IfNotPresent"}, want: apply.Created, value: "ours"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			want := annotate(w.configMap("a", map[string]any{"k": "ours"}), tc.annotation[0], tc.annotation[1])
			if tc.exists {
				theirs := w.configMap("a", map[string]any{"k": "theirs"})
				if _, err := w.admin().Namespace(w.env.Namespace).Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				got, _, err := w.apply(objectsOf(want))
				if err != nil {
					t.Fatal(err)
				}
				if got["ConfigMap/a"] != tc.want && got["ConfigMap/a"] != apply.Skipped {
					t.Errorf("%s: want %s, got %s", tc.reason, tc.want, got["ConfigMap/a"])
				}
			}
			if v := w.get(kube.RefOf(want)).Object["data"].(map[string]any)["k"]; v != tc.value {
				t.Errorf("%s: want %s, got %v", tc.reason, tc.value, v)
			}
			if w.engine.Drifted(w.owner, kube.RefOf(want)) || !w.engine.InSync(w.owner, kube.RefOf(want)) {
				t.Errorf("%s: want no drift", tc.reason)
			}
		})
	}
}

func TestMergeKeepsWhatKubectlAdded(t *testing.T) {
	for name, merge := range map[string]bool{"merge": true, "default": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			obj := w.configMap("a", map[string]any{"k": "1"})
			if merge {
				annotate(obj, "ssa", "Merge")
			}
			ref := kube.RefOf(obj)
			w.mustApply(objectsOf(obj))
			w.someoneElse(ref, "kubectl-patch", mergePatch, `{"data":{"added":"by hand"}}`)
			w.eventually("the watch sees it", func() bool {
				s, _, _ := w.pool.Get(ref)
				return kube.Older(firstVersion(w, ref), s.ResourceVersion) || s.ResourceVersion == firstVersion(w, ref)
			})
			obj.Object["data"] = map[string]any{"k": "2"}
			w.mustApply(objectsOf(obj))
			_, kept := w.get(ref).Object["data"].(map[string]any)["added"]
			if kept != merge {
				t.Errorf("ssa: Merge is %v: kept is %v", merge, kept)
			}
		})
	}
}

func firstVersion(w *world, ref kube.Ref) string { return w.get(ref).GetResourceVersion() }

func TestAdoption(t *testing.T) {
	w := newWorld(t)
	old := w.configMap("a", map[string]any{"k": "old", "left": "over"})
	old.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{}}`})
	_, err := w.admin().Namespace(w.env.Namespace).Create(t.Context(), old, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	if err != nil {
		t.Fatal(err)
	}
	obj := w.configMap("a", map[string]any{"k": "new"})
	got, _ := w.mustApply(objectsOf(obj))
	live := w.get(kube.RefOf(obj))
	data, _, _ := unstructured.NestedStringMap(live.Object, "data")
	if got["ConfigMap/a"] != apply.Configured || len(data) != 1 || data["k"] != "new" || len(live.GetAnnotations()) != 0 {
		t.Errorf("want what kubectl applied taken over whole, got %v: %v %v", got, data, live.GetAnnotations())
	}
	if _, requests := w.mustApply(objectsOf(obj)); len(requests) != 0 {
		t.Errorf("after that want no request, got %v", requests)
	}
}
