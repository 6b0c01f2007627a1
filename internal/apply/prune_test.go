package apply_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

func refs(objs []*unstructured.Unstructured) []kube.Ref {
	out := make([]kube.Ref, len(objs))
	for i, o := range objs {
		out[i] = kube.RefOf(o)
	}
	return out
}

func TestPrune(t *testing.T) {
	cases := map[string]struct {
		reason string
		// change is what happens to the object after it was applied.
		change  func(w *world, ref kube.Ref)
		note    bool
		unseen  bool
		want    apply.Action
		says    string
		exists  bool
		request map[string]int
	}{
		"ours": {reason: "what is ours and watched goes with one request", want: apply.Deleted, request: map[string]int{"DELETE": 1}},
		"ours, not watched": {
			reason: "what isn't watched is looked at first", unseen: true, want: apply.Deleted,
			request: map[string]int{"GET": 1, "DELETE": 1},
		},
		"gone": {
			reason: "what is gone needs no pruning", want: apply.Skipped, says: "gone",
			change: func(w *world, ref kube.Ref) { w.deleteNow(ref) },
		},
		"stolen": {
			reason: "what another owner has taken stays", want: apply.Skipped, says: "blog", exists: true,
			change: func(w *world, ref kube.Ref) {
				other := w.owner
				other.Name = "blog"
				if _, err := w.otherEngine().Apply(w.t.Context(), objectsOf(w.configMap(ref.Name, nil)), apply.Options{Owner: other}); err != nil {
					w.t.Fatal(err)
				}
			},
		},
		"unlabelled": {
			reason: "what has no owner labels any more stays", want: apply.Skipped, says: "labels", exists: true,
			change: func(w *world, ref kube.Ref) {
				w.someoneElse(ref, "person", mergePatch, `{"metadata":{"labels":null}}`)
			},
		},
		"kept": {reason: "prune: disabled in the set keeps it", note: true, want: apply.Skipped, says: "prune", exists: true},
		"kept later": {
			reason: "prune: disabled in the cluster keeps it", want: apply.Skipped, says: "prune", exists: true,
			change: func(w *world, ref kube.Ref) {
				w.someoneElse(ref, "person", mergePatch, `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/prune":"disabled"}}}`)
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			obj := w.configMap("a", map[string]any{"k": "1"})
			if tc.note {
				annotate(obj, "prune", "disabled")
			}
			ref := kube.RefOf(obj)
			w.mustApply(objectsOf(obj))
			if tc.change != nil {
				tc.change(w, ref) // the prune may or may not be ahead of the watch
			}
			engine := w.engine
			if tc.unseen {
				engine = w.otherEngine()
			}
			w.seen.reset()
			changes, err := engine.Prune(t.Context(), []kube.Ref{ref}, w.options())
			if err != nil {
				t.Fatal(err)
			}
			if len(changes) != 1 || changes[0].Action != tc.want || !strings.Contains(changes[0].Note, tc.says) {
				t.Errorf("%s: got %+v", tc.reason, changes)
			}
			if w.exists(ref) != tc.exists {
				t.Errorf("%s: exists is %v", tc.reason, !tc.exists)
			}
			if tc.request != nil {
				w.seen.mu.Lock()
				w.seen.list = w.seen.list[:len(w.seen.list)-1] // exists
				w.seen.mu.Unlock()
				if diff := cmp.Diff(tc.request, count(w.seen.writes())); diff != "" {
					t.Errorf("%s: requests (-want +got):\n%s", tc.reason, diff)
				}
			}
		})
	}
}

func TestPruneOrder(t *testing.T) {
	w := newWorld(t)
	ns := w.env.Namespace + "-gone"
	objs := w.objects(`
apiVersion: v1
kind: Namespace
metadata: {name: ` + ns + `}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ` + ns + `}`)
	w.mustApply(objs)
	changes, err := w.engine.Prune(t.Context(), append(refs(objs), kube.Ref{Group: "nowhere.dev", Version: "v1", Kind: "Gone", Name: "x"}), w.options())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.Ref.Kind+" "+string(c.Action))
	}
	want := []string{"Gone skipped", "Deployment deleted", "ConfigMap deleted", "ClusterRole deleted", "Namespace deleted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prune goes the other way round (-want +got):\n%s", diff)
	}
	if w.engine.InSync(w.owner, kube.RefOf(objs[1])) {
		t.Error("what was pruned must be forgotten")
	}
}

func TestInventory(t *testing.T) {
	list := []kube.Ref{
		{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "shop", Name: "cart"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole", Name: "system:cart"},
		{Version: "v1", Kind: "Namespace", Name: "shop"},
		{Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler", Namespace: "shop", Name: "cart"},
		{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler", Namespace: "shop", Name: "cart"},
	}
	inv := apply.Inventory(list)
	var ids []string
	for _, e := range inv.Entries {
		ids = append(ids, e.ID+" "+e.Version)
	}
	want := []string{
		"_shop__Namespace v1",
		"_system__cart_rbac.authorization.k8s.io_ClusterRole v1",
		"shop_cart_apps_Deployment v1",
		"shop_cart_autoscaling_HorizontalPodAutoscaler v2",
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	back := apply.Refs(inv)
	if diff := cmp.Diff([]kube.Ref{list[2], list[1], list[0], list[4]}, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if gone := apply.Diff(back, list[3:4]); len(gone) != 3 || fmt.Sprint(gone) == fmt.Sprint(back) {
		t.Errorf("another version of an object is the same object, got %v", gone)
	}
	if !apply.Contains(inv, list[3]) || apply.Contains(inv, kube.Ref{Kind: "Pod", Name: "x"}) || apply.Contains(nil, list[0]) {
		t.Error("Contains is wrong")
	}
	if apply.Refs(nil) != nil {
		t.Error("no inventory has no objects")
	}
	inv.Entries[0].ID = "nonsense"
	if got := apply.Refs(inv); len(got) != 3 {
		t.Errorf("an entry that nobody can read is left out, got %v", got)
	}
}

func TestPlan(t *testing.T) {
	w := newWorld(t)
	w.mustApply(w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {a: b}}\nstringData: {same: hunter1, other: hunter2, gone: hunter3}"))
	w.mustApply(objectsOf(w.deployment("same", "app:1"), w.deployment("image", "app:1"), w.deployment("selector", "app:1")))
	selector := annotate(w.deployment("selector", "app:1"), "force", "enabled")
	_ = unstructured.SetNestedField(selector.Object, "other", "spec", "selector", "matchLabels", "app")
	_ = unstructured.SetNestedField(selector.Object, "other", "spec", "template", "metadata", "labels", "app")
	bad := w.deployment("bad", "app:1")
	_ = unstructured.SetNestedField(bad.Object, "x", "spec", "replicas")
	ns := w.env.Namespace + "-plan"
	objs := append(w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {same: hunter1, other: hunter4, new: hunter5}\n---\n"+
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}\n---\n"+w.boat("a")+"\n---"+w.definition()),
		w.deployment("same", "app:1"), w.deployment("image", "app:2"), selector, bad, deployment(ns, "later", "app:1"),
		annotate(w.deployment("paused", "app:1"), "reconcile", "disabled"))
	w.seen.reset()
	plan, err := w.engine.Plan(t.Context(), objs, w.options())
	if e := apply.Errors(err); len(e) != 1 || e[0].Ref.Name != "bad" {
		t.Errorf("want the invalid object named, got %v", err)
	}
	got := map[string]apply.Action{}
	var text strings.Builder
	for _, p := range plan {
		got[p.Ref.Kind+"/"+p.Ref.Name] = p.Action
		text.WriteString(p.Before + p.After)
		if p.Ref.Kind == "Secret" {
			for _, want := range []string{"*** (before)", "gone: '***'"} {
				if !strings.Contains(p.Before, want) {
					t.Errorf("want %q in\n%s", want, p.Before)
				}
			}
			if !strings.Contains(p.After, "*** (after)") {
				t.Errorf("want the changed value marked in\n%s", p.After)
			}
		}
		if p.Ref.Name == "image" && (!strings.Contains(p.Before, "app:1") || !strings.Contains(p.After, "app:2")) {
			t.Errorf("want both images, got\n%s\n%s", p.Before, p.After)
		}
	}
	want := map[string]apply.Action{
		"Secret/s": apply.Configured, "Namespace/" + ns: apply.Created, "Boat/a": apply.Created, "CustomResourceDefinition/boats." + w.group(): apply.Created,
		"Deployment/same": apply.Unchanged, "Deployment/image": apply.Configured, "Deployment/selector": apply.Recreated,
		"Deployment/later": apply.Created, "Deployment/paused": apply.Skipped,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	for _, hidden := range []string{"hunter", "aHVudGVy", "managedFields"} {
		if strings.Contains(text.String(), hidden) {
			t.Errorf("%q must not be in the plan", hidden)
		}
	}
	for _, r := range w.seen.writes() {
		if !strings.HasPrefix(r, "GET") && !strings.HasPrefix(r, "PATCH?dryRun") {
			t.Errorf("a plan must not write: %s", r)
		}
	}
	if _, err := w.clients.Get(t.Context(), kube.Identity{}, kube.Ref{Version: "v1", Kind: "Namespace", Name: ns}); err == nil {
		t.Error("a plan must not create anything")
	}
}

func TestPlanSeesWhatOthersDid(t *testing.T) {
	w := newWorld(t)
	paused, edited, same := w.configMap("paused", map[string]any{"k": "1"}), w.configMap("edited", map[string]any{"k": "1"}), w.configMap("same", map[string]any{"k": "1"})
	w.mustApply(objectsOf(paused, edited, same))
	w.someoneElse(kube.RefOf(paused), "person", "application/merge-patch+json", `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}},"data":{"k":"2"}}`)
	w.someoneElse(kube.RefOf(edited), "kubectl-edit", "application/merge-patch+json", `{"data":{"more":"2"}}`)
	plan, err := w.engine.Plan(t.Context(), objectsOf(paused, edited, same), w.options())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]apply.Action{"paused": apply.Skipped, "edited": apply.Configured, "same": apply.Unchanged}
	for _, p := range plan {
		if p.Action != want[p.Ref.Name] || (p.Note == "") != (p.Action == apply.Unchanged) {
			t.Errorf("%s: want %s, with a note unless unchanged; got %s (%s)", p.Ref.Name, want[p.Ref.Name], p.Action, p.Note)
		}
	}
	if did, _ := w.mustApply(objectsOf(paused, edited, same)); did["ConfigMap/edited"] != apply.Configured || did["ConfigMap/paused"] != apply.Skipped {
		t.Errorf("an apply does what the plan says, got %v", did)
	}
}

func TestPlanPrune(t *testing.T) {
	w := newWorld(t)
	secret := w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: goes}\nstringData: {token: hunter1}")[0]
	kept, theirs := annotate(w.configMap("kept", nil), "prune", "disabled"), w.configMap("theirs", nil)
	w.mustApply(objectsOf(secret, kept, theirs))
	w.someoneElse(kube.RefOf(theirs), "person", "application/merge-patch+json", `{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"other"}}}`)
	unknown := kube.Ref{Group: "nobody.example", Version: "v1", Kind: "Boat", Namespace: w.env.Namespace, Name: "unserved"}
	refs := []kube.Ref{kube.RefOf(secret), kube.RefOf(kept), kube.RefOf(theirs), kube.RefOf(w.configMap("gone", nil)), unknown}
	w.seen.reset()
	plan, err := w.engine.PlanPrune(t.Context(), refs, w.options())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]apply.Action{}
	for _, p := range plan {
		got[p.Ref.Name] = p.Action
		if p.Action == apply.Deleted && (p.After != "" || !strings.Contains(p.Before, "token: '***'") || strings.Contains(p.Before, "aHVudGVy")) {
			t.Errorf("want what goes, without its data:\n%s\n%s", p.Before, p.After)
		}
	}
	want := map[string]apply.Action{"goes": apply.Deleted, "kept": apply.Skipped, "theirs": apply.Skipped, "gone": apply.Skipped, "unserved": apply.Skipped}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	for _, r := range w.seen.writes() {
		if !strings.HasPrefix(r, "GET") {
			t.Errorf("a plan must not write: %s", r)
		}
	}
	if !w.exists(kube.RefOf(secret)) {
		t.Error("a plan must not delete anything")
	}
}
