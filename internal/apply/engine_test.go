package apply_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

func TestVerify(t *testing.T) {
	w := newWorld(t)
	objs := objectsOf(w.configMap("a", nil), w.configMap("b", nil))
	w.mustApply(objs)
	got, requests := w.mustApply(objs, func(o *apply.Options) { o.Verify = true })
	if diff := cmp.Diff(map[string]int{"PATCH": 2}, count(requests)); diff != "" {
		t.Errorf("Verify sends every object once (-want +got):\n%s", diff)
	}
	if got["ConfigMap/a"] != apply.Unchanged {
		t.Errorf("nothing was to be put right, got %v", got)
	}
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	obj := objectsOf(w.configMap("a", nil))
	ref := kube.RefOf(obj[0])
	if w.engine.InSync(w.owner, ref) || w.engine.Drifted(w.owner, ref) {
		t.Error("nothing is known of what was never applied")
	}
	w.mustApply(obj)
	w.engine.Forget(w.owner, ref)
	if w.engine.InSync(w.owner, ref) || w.engine.Drifted(w.owner, ref) {
		t.Error("nothing is known of what was forgotten")
	}
}

func TestObjectsThatNeedEachOther(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    string
	}{
		"role and binding, as somebody who may only pass on what he has": {
			reason: "a binding can't be checked before its role is there",
			set: `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}
subjects: [{kind: ServiceAccount, name: a, namespace: $NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: a}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]`,
		},
		"account and pods": {
			reason: "a pod can't be checked before its account is there",
			set: `
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {serviceAccountName: a, automountServiceAccountToken: false, containers: [{name: a, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec: {serviceAccountName: a, automountServiceAccountToken: false, containers: [{name: a, image: a}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: a}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.grantAll("tenant")
			as := func(o *apply.Options) {
				o.Identity = kube.Identity{Namespace: w.env.Namespace, ServiceAccount: "tenant"}
			}
			// A refused set first: after it everything is proved before anything is written.
			bad := w.deployment("bad", "app:1")
			_ = unstructured.SetNestedField(bad.Object, "Nonsense", "spec", "template", "spec", "restartPolicy")
			if _, _, err := w.apply(append(w.objects(tc.set), bad), as); err == nil {
				t.Fatal("want the bad one refused")
			}
			got, requests := w.mustApply(w.objects(tc.set), as)
			for name, action := range got {
				if action != apply.Created {
					t.Errorf("%s: %s was %s; %v", tc.reason, name, action, requests)
				}
			}
		})
	}
}

func TestManyOwnersAtOnce(t *testing.T) {
	w := newWorld(t)
	var all []*unstructured.Unstructured
	sets := make([][]*unstructured.Unstructured, 8)
	for i := range sets {
		for j := range 5 {
			sets[i] = append(sets[i], w.configMap(fmt.Sprintf("c-%d-%d", i, j), map[string]any{"v": "0"}))
		}
		all = append(all, sets[i]...)
	}
	w.watch(all)
	var wg sync.WaitGroup
	errs := make([]error, len(sets))
	for i, set := range sets {
		wg.Go(func() {
			opts := apply.Options{Owner: apply.Owner{Name: fmt.Sprintf("owner-%d", i), Namespace: w.env.Namespace}}
			for n := range 5 {
				for _, o := range set {
					o.Object["data"] = map[string]any{"v": fmt.Sprint(n)}
				}
				_, err := w.engine.Apply(t.Context(), set, opts)
				errs[i] = errors.Join(errs[i], err)
			}
			_, err := w.engine.Prune(t.Context(), refs(set[:1]), opts)
			errs[i] = errors.Join(errs[i], err)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, set := range sets {
		if w.exists(kube.RefOf(set[0])) {
			t.Errorf("owner %d: the pruned object is still there", i)
		}
		live := w.get(kube.RefOf(set[4]))
		if live.Object["data"].(map[string]any)["v"] != "4" || live.GetLabels()["kustomize.toolkit.fluxcd.io/name"] != fmt.Sprintf("owner-%d", i) {
			t.Errorf("owner %d: %v %v", i, live.Object["data"], live.GetLabels())
		}
	}
}

func TestObjectsAreNotChanged(t *testing.T) {
	w := newWorld(t)
	obj := w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {k: v}")
	before := obj[0].DeepCopy()
	w.mustApply(obj)
	if diff := cmp.Diff(before.Object, obj[0].Object); diff != "" {
		t.Errorf("the objects belong to the caller (-want +got):\n%s", diff)
	}
}

func TestScope(t *testing.T) {
	w := newWorld(t)
	role := w.objects("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: $NS}")
	role[0].SetNamespace(w.env.Namespace) // as kustomize does with kinds that it doesn't know
	result, err := w.engine.Apply(t.Context(), role, w.options())
	if err != nil || len(result.Changes) != 1 || result.Changes[0].Ref.Namespace != "" {
		t.Errorf("a cluster-wide object has no namespace: %+v, %v", result, err)
	}
}
