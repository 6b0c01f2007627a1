package apply_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	jsonPatch  = "application/json-patch+json"
	mergePatch = "application/merge-patch+json"
	strategic  = "application/strategic-merge-patch+json"
	ssaPatch   = "application/apply-patch+yaml"
)

func TestDrift(t *testing.T) {
	w := newWorld(t)
	type change struct {
		reason  string
		manager string
		kind    string
		body    string
		sub     []string
		delete  bool
		silent  bool
		// ownership has to be put right too, which takes two more requests.
		ownership bool
	}
	cases := map[string]change{
		"image": {
			reason: "somebody set another image", manager: "person", kind: strategic,
			body: `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"evil:1"}]}}}}`,
		},
		"scale": {
			reason: "the scale subresource changes the replicas that we own", manager: "autoscaler", kind: mergePatch,
			body: `{"spec":{"replicas":7}}`, sub: []string{"scale"},
		},
		"ownerlabel": {
			reason: "the owner label was changed", manager: "person", kind: mergePatch,
			body: `{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"other"}}}`,
		},
		"ownerlabelgone": {
			reason: "the owner label was removed", manager: "person", kind: mergePatch,
			body: `{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":null}}}`,
		},
		"jsonpatch": {
			reason: "a field was removed", manager: "person", kind: jsonPatch,
			body: `[{"op":"remove","path":"/spec/template/spec/containers/0/resources"}]`,
		},
		"mapkey": {
			reason: "a key of an owned map was changed", manager: "person", kind: mergePatch,
			body: `{"spec":{"template":{"metadata":{"annotations":{"note":"changed"}}}}}`,
		},
		"listkey": {
			reason: "an owned entry of a list was removed", manager: "person", kind: strategic,
			body: `{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"MODE","$patch":"delete"}]}]}}}}`,
		},
		"ssa": {
			reason: "another manager took a field over by force", manager: "other", kind: ssaPatch,
			body: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"ssa"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"ssa"}},"template":{"metadata":{"labels":{"app":"ssa"}}}}}`,
		},
		"samename": {
			reason: "our own manager's name was used for an update", manager: apply.DefaultManager, kind: mergePatch,
			body: `{"spec":{"replicas":4}}`,
		},
		"managedfields": {
			reason: "managedFields were reset", ownership: true, manager: "person", kind: mergePatch,
			body: `{"metadata":{"managedFields":[{}]}}`,
		},
		"kubectl": {
			reason: "kubectl edit added a field that nobody owned", ownership: true, manager: "kubectl-edit", kind: strategic,
			body: `{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"DEBUG","value":"1"}]}]}}}}`,
		},
		"deleted": {reason: "the object was deleted", delete: true},

		"status": {
			reason: "status is not ours", manager: "controller", kind: mergePatch, silent: true,
			body: `{"status":{"collisionCount":1}}`, sub: []string{"status"},
		},
		"foreignlabel": {
			reason: "somebody added a label", manager: "person", kind: mergePatch, silent: true,
			body: `{"metadata":{"labels":{"team":"blue"}}}`,
		},
		"foreignfield": {
			reason: "a webhook added a container", manager: "mesh", kind: strategic, silent: true,
			body: `{"spec":{"template":{"spec":{"containers":[{"name":"proxy","image":"proxy:1"}]}}}}`,
		},
		"foreignssa": {
			reason: "another manager applied a field of its own", manager: "other", kind: ssaPatch, silent: true,
			body: `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"foreignssa"},"spec":{"minReadySeconds":5}}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.t = t
			obj := w.objects(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: ` + name + `}
spec:
  replicas: 1
  selector: {matchLabels: {app: ` + name + `}}
  template:
    metadata: {labels: {app: ` + name + `}, annotations: {note: ours}}
    spec: {containers: [{name: app, image: "app:1", env: [{name: MODE, value: x}], resources: {requests: {cpu: 10m}}}]}`)
			ref := kube.RefOf(obj[0])
			w.mustApply(obj)
			before, events := w.get(ref), w.eventsOf(ref)

			if tc.delete {
				w.deleteNow(ref)
			} else {
				w.someoneElse(ref, tc.manager, tc.kind, tc.body, tc.sub...)
			}

			if tc.silent {
				w.caughtUp(obj[0].GetName())
				if w.engine.Drifted(w.owner, ref) || !w.engine.InSync(w.owner, ref) || w.eventsOf(ref) != events {
					t.Errorf("%s: want silence, got drift %v, in sync %v, %d events", tc.reason, w.engine.Drifted(w.owner, ref), w.engine.InSync(w.owner, ref), w.eventsOf(ref)-events)
				}
				return
			}
			w.eventually("drift is noticed: "+tc.reason, func() bool { return w.engine.Drifted(w.owner, ref) && w.eventsOf(ref) > events })
			if w.engine.InSync(w.owner, ref) {
				t.Errorf("%s: it is not in sync", tc.reason)
			}
			got, requests := w.mustApply(obj)
			if action := got["Deployment/"+name]; action != apply.Configured && action != apply.Created {
				t.Errorf("%s: want it put back, got %s", tc.reason, action)
			}
			if len(requests) > 1 && !tc.ownership {
				t.Errorf("%s: want it put back with one request, got %v", tc.reason, requests)
			}
			after := w.get(ref)
			for _, o := range []interface {
				SetManagedFields([]metav1.ManagedFieldsEntry)
			}{before, after} {
				o.SetManagedFields(nil)
			}
			if want, got := before.Object["spec"], after.Object["spec"]; !equal(want, got) {
				t.Errorf("%s: want the spec put back to\n%v\ngot\n%v", tc.reason, want, got)
			}
			if !equal(before.GetLabels(), after.GetLabels()) {
				t.Errorf("%s: want labels %v, got %v", tc.reason, before.GetLabels(), after.GetLabels())
			}
		})
	}
}

// caughtUp waits until the watch has seen everything up to now: a change of another object of the same kind comes after it.
func (w *world) caughtUp(name string) {
	w.t.Helper()
	mark := w.deployment("mark-"+name, "mark:1")
	ref := kube.RefOf(mark)
	opts := w.options()
	if _, err := w.engine.Apply(w.t.Context(), objectsOf(mark), opts); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the watch has caught up", func() bool { return w.engine.InSync(w.owner, ref) })
}

func TestStaleWatchIsNoDrift(t *testing.T) {
	w := newWorld(t)
	obj := objectsOf(w.configMap("a", map[string]any{"k": "1"}))
	ref := kube.RefOf(obj[0])
	late := &frozen{Pool: w.pool}
	w.engine = apply.New(w.clients, late, apply.Settings{})
	w.mustApply(obj)
	late.freeze(ref)
	obj[0].Object["data"] = map[string]any{"k": "2"}
	if _, err := w.engine.Apply(t.Context(), obj, w.options()); err != nil {
		t.Fatal(err)
	}
	if w.engine.Drifted(w.owner, ref) {
		t.Error("a watch that has not seen our own write yet tells nothing about drift")
	}
	if w.engine.InSync(w.owner, ref) {
		t.Error("a watch that has not seen our own write yet can't say that it is in the cluster")
	}
	w.seen.reset()
	if _, err := w.engine.Apply(t.Context(), obj, w.options()); err != nil {
		t.Fatal(err)
	}
	if r := w.seen.writes(); len(r) != 0 {
		t.Errorf("want no request for what was written a moment ago, got %v", r)
	}
}

func TestOwnersDoNotFight(t *testing.T) {
	w := newWorld(t)
	other := w.owner
	other.Name = "blog"
	obj := objectsOf(w.configMap("shared", map[string]any{"k": "1"}), w.configMap("mine", map[string]any{"k": "1"}))
	w.mustApply(obj)
	theirs := objectsOf(w.configMap("shared", map[string]any{"k": "theirs"}))
	ref := kube.RefOf(obj[0])
	if _, err := w.otherEngine().Apply(t.Context(), theirs, apply.Options{Owner: other}); err != nil {
		t.Fatalf("an object may pass from one owner to another: %v", err)
	}
	w.eventually("the watch sees the new owner", func() bool { return w.engine.Drifted(w.owner, ref) })

	obj[1].Object["data"] = map[string]any{"k": "2"}
	got, requests, err := w.apply(obj)
	errs := apply.Errors(err)
	if len(errs) != 1 || errs[0].Reason != apply.ReasonOwned || errs[0].Ref != ref {
		t.Errorf("want an error that names the object with two owners, got %v", err)
	}
	if got["ConfigMap/mine"] != apply.Configured || len(requests) != 1 {
		t.Errorf("the other objects must go on: got %v, %v", got, requests)
	}
	if v := w.get(ref).Object["data"].(map[string]any)["k"]; v != "theirs" {
		t.Errorf("the object must stay with who applied it last, got %v", v)
	}
}

func TestPausedObject(t *testing.T) {
	w := newWorld(t)
	obj := objectsOf(w.configMap("a", map[string]any{"k": "1"}))
	ref := kube.RefOf(obj[0])
	w.mustApply(obj)
	w.someoneElse(ref, "kubectl-edit", mergePatch, `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}},"data":{"k":"patched"}}`)
	w.eventually("the watch sees the annotation", func() bool { s, _, _ := w.pool.Get(ref); return s.Paused })
	if w.engine.Drifted(w.owner, ref) {
		t.Error("an object that is to be left alone does not drift")
	}
	if got, requests := w.mustApply(obj); got["ConfigMap/a"] != apply.Skipped || len(requests) != 0 {
		t.Errorf("want it left alone, got %v with %v", got, requests)
	}
	w.someoneElse(ref, "kubectl-edit", mergePatch, `{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":null}}}`)
	w.eventually("it is looked after again", func() bool { return w.engine.Drifted(w.owner, ref) })
	w.mustApply(obj)
	if v := w.get(ref).Object["data"].(map[string]any)["k"]; v != "1" {
		t.Errorf("want it put back, got %v", v)
	}
}
