package apply_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		reason string
		// before is applied first.
		before func(w *world)
		set    func(w *world) []*unstructured.Unstructured
		change func(*apply.Options)
		want   apply.Reason
		ref    string
		// says and hides are parts that the message must and must not have.
		says, hides []string
	}{
		"unknown field": {
			reason: "strict validation finds typing errors",
			set: func(w *world) []*unstructured.Unstructured {
				d := w.deployment("bad", "app:1")
				_ = unstructured.SetNestedField(d.Object, int64(3), "spec", "replica")
				return objectsOf(d)
			},
			want: apply.ReasonInvalid, ref: "Deployment/bad", says: []string{"correct it", "replica"},
		},
		"invalid value": {
			reason: "the API server refuses a value",
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}")
			},
			want: apply.ReasonInvalid, ref: "Service/bad", says: []string{"correct it", "99999"},
		},
		"no such kind": {
			reason: "the CRD isn't there",
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: nowhere.dev/v1\nkind: Thing\nmetadata: {name: bad}")
			},
			want: apply.ReasonKindMissing, ref: "Thing/bad", says: []string{"install its CRD", "nowhere.dev/v1"},
		},
		"no namespace": {
			reason: "a namespaced object must say where it goes",
			set: func(w *world) []*unstructured.Unstructured {
				o := w.configMap("bad", nil)
				o.SetNamespace("")
				return objectsOf(o)
			},
			want: apply.ReasonInvalid, ref: "ConfigMap/bad", says: []string{"targetNamespace"},
		},
		"no name": {
			reason: "an object must have a name",
			set: func(w *world) []*unstructured.Unstructured {
				o := w.configMap("", nil)
				o.SetGenerateName("x-")
				return objectsOf(o)
			},
			want: apply.ReasonInvalid, ref: "ConfigMap/", says: []string{"metadata.name"},
		},
		"twice": {
			reason: "the same object twice is a mistake",
			set: func(w *world) []*unstructured.Unstructured {
				return objectsOf(w.configMap("bad", nil), w.configMap("bad", map[string]any{"a": "b"}))
			},
			want: apply.ReasonInvalid, ref: "ConfigMap/bad", says: []string{"twice"},
		},
		"namespace missing": {
			reason: "the namespace doesn't exist",
			set: func(w *world) []*unstructured.Unstructured {
				return objectsOf(deployment("not-there", "bad", "app:1"))
			},
			want: apply.ReasonNamespaceMissing, ref: "Deployment/bad", says: []string{"not-there", "same set"},
		},
		"namespace terminating": {
			reason: "the namespace is being deleted",
			before: func(w *world) { w.deleteNow(kube.Ref{Version: "v1", Kind: "Namespace", Name: w.env.Namespace}) },
			set: func(w *world) []*unstructured.Unstructured {
				return objectsOf(w.deployment("bad", "app:1"))
			},
			want: apply.ReasonNamespaceTerminating, ref: "ConfigMap/good", says: []string{"being deleted", "wait"},
		},
		"immutable": {
			reason: "a field can't be changed",
			before: func(w *world) { w.mustApply(objectsOf(w.deployment("bad", "app:1"))) },
			set: func(w *world) []*unstructured.Unstructured {
				d := w.deployment("bad", "app:1")
				_ = unstructured.SetNestedField(d.Object, "other", "spec", "selector", "matchLabels", "app")
				_ = unstructured.SetNestedField(d.Object, "other", "spec", "template", "metadata", "labels", "app")
				return objectsOf(d)
			},
			want: apply.ReasonImmutable, ref: "Deployment/bad", says: []string{"spec.force", "kustomize.toolkit.fluxcd.io/force"},
		},
		"forbidden": {
			reason: "the service account has no rights",
			set: func(w *world) []*unstructured.Unstructured {
				return objectsOf(w.deployment("bad", "app:1"), w.deployment("bad2", "app:1"))
			},
			change: func(o *apply.Options) {
				o.Identity = kube.Identity{Namespace: o.Owner.Namespace, ServiceAccount: "nobody"}
			},
			want: apply.ReasonForbidden, ref: "Deployment/bad2",
			says: []string{"/nobody may not patch deployments", `apiGroups ["apps"]`, `resources ["deployments"]`, "Role"},
		},
		"quota": {
			reason: "a quota is used up",
			before: func(w *world) {
				w.mustApply(w.objects("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {count/deployments.apps: \"0\"}}\nstatus: {}"))
				w.someoneElse(kube.Ref{Version: "v1", Kind: "ResourceQuota", Namespace: w.env.Namespace, Name: "none"}, "quota", mergePatch,
					`{"status":{"hard":{"count/deployments.apps":"0"},"used":{"count/deployments.apps":"0"}}}`, "status")
				w.refuses(w.deployment("probe", "app:1"), "exceeded quota")
			},
			set: func(w *world) []*unstructured.Unstructured {
				return objectsOf(w.deployment("bad", "app:1"))
			},
			want: apply.ReasonQuota, ref: "Deployment/bad", says: []string{"raise the ResourceQuota"},
		},
		"policy": {
			reason: "the namespace's pod security forbids it",
			before: func(w *world) {
				w.mustApply(w.objects("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}"))
				w.someoneElse(kube.Ref{Version: "v1", Kind: "Namespace", Name: w.env.Namespace}, "admin", mergePatch,
					`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)
				w.refuses(w.objects("apiVersion: v1\nkind: Pod\nmetadata: {name: probe}\nspec: {containers: [{name: a, image: a}], automountServiceAccountToken: false}")[0], "restricted")
			},
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: [{name: a, image: a}], automountServiceAccountToken: false}")
			},
			want: apply.ReasonDenied, ref: "Pod/bad", says: []string{"policy", "restricted"},
		},
		"secret": {
			reason: "what the API server quotes of a Secret must not be shown",
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\ndata: {token: \"hunter2-is-not-base64!\"}")
			},
			want: apply.ReasonInvalid, ref: "Secret/bad", says: []string{"is not valid", "data"}, hides: []string{"hunter2"},
		},
		"secret key": {
			reason: "of an invalid Secret the fields are named, not the values",
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\ntype: kubernetes.io/dockerconfigjson\nstringData: {\".dockerconfigjson\": \"{hunter2\"}")
			},
			want: apply.ReasonInvalid, ref: "Secret/bad", says: []string{"data[.dockerconfigjson]"}, hides: []string{"hunter2"},
		},
		"secret forbidden": {
			reason: "other refusals of a Secret keep their advice",
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\nstringData: {token: hunter2}")
			},
			change: func(o *apply.Options) {
				o.Identity = kube.Identity{Namespace: o.Owner.Namespace, ServiceAccount: "nobody"}
			},
			want: apply.ReasonForbidden, ref: "Secret/bad", says: []string{"bind it to a Role"}, hides: []string{"hunter2"},
		},
		"stringData of numbers": {
			reason: "a number in stringData is a usual mistake",
			set: func(w *world) []*unstructured.Unstructured {
				return w.objects("apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\nstringData: {port: 8080}")
			},
			want: apply.ReasonInvalid, ref: "Secret/bad", says: []string{"stringData[port]", "quotes"}, hides: []string{"8080"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			good := w.configMap("good", map[string]any{"a": "1"})
			if tc.before != nil {
				tc.before(w)
			}
			objs := append(tc.set(w), good)
			var change []func(*apply.Options)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			_, _, err := w.apply(objs, change...)
			var found *apply.Error
			for _, e := range apply.Errors(err) {
				if e.Ref.Kind+"/"+e.Ref.Name == tc.ref {
					found = e
				}
			}
			if found == nil {
				t.Fatalf("%s: want an error about %s, got %v", tc.reason, tc.ref, err)
			}
			if found.Reason != tc.want {
				t.Errorf("%s: want reason %s, got %s: %v", tc.reason, tc.want, found.Reason, found)
			}
			for _, s := range tc.says {
				if !strings.Contains(found.Error(), s) {
					t.Errorf("%s: want %q in the message:\n%s", tc.reason, s, found)
				}
			}
			for _, s := range tc.hides {
				if strings.Contains(err.Error(), s) {
					t.Errorf("%s: %q must not be in the message:\n%s", tc.reason, s, err)
				}
			}
			if w.exists(kube.RefOf(good)) {
				t.Errorf("%s: nothing of a refused set may stay in the cluster", tc.reason)
			}
		})
	}
}

// refuses waits until the API server refuses an object: what admits objects learns of quotas and of labels of namespaces by watches.
func (w *world) refuses(obj *unstructured.Unstructured, because string) {
	w.t.Helper()
	c, err := w.clients.For(kube.Identity{})
	if err != nil {
		w.t.Fatal(err)
	}
	ref := kube.RefOf(obj)
	m, err := w.clients.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually(ref.Subject()+" is refused: "+because, func() bool {
		_, err := c.Dynamic.Resource(m.Resource).Namespace(ref.Namespace).Create(w.t.Context(), obj, metav1.CreateOptions{})
		if err == nil {
			w.deleteNow(ref)
			return false
		}
		return strings.Contains(err.Error(), because)
	})
}

func TestRefusedSetChangesNothing(t *testing.T) {
	w := newWorld(t)
	config, app := w.configMap("app", map[string]any{"v": "1"}), w.deployment("app", "app:1")
	w.mustApply(objectsOf(config, app))

	config.Object["data"] = map[string]any{"v": "2"}
	bad := w.deployment("bad", "app:1")
	_ = unstructured.SetNestedField(bad.Object, "not a number", "spec", "replicas")
	fresh := w.configMap("fresh", map[string]any{"v": "1"})
	objs := objectsOf(config, app, bad, fresh)
	if _, _, err := w.apply(objs); err == nil {
		t.Fatal("want an error")
	}
	if v := w.get(kube.RefOf(config)).Object["data"].(map[string]any)["v"]; v != "1" {
		t.Errorf("an existing object was changed to %v by a refused set", v)
	}
	if w.exists(kube.RefOf(fresh)) || w.exists(kube.RefOf(bad)) {
		t.Error("a new object was created by a refused set")
	}

	_ = unstructured.SetNestedField(bad.Object, int64(2), "spec", "replicas")
	if got, _ := w.mustApply(objs); len(got) != 4 || got["ConfigMap/app"] != apply.Configured || got["Deployment/bad"] != apply.Created {
		t.Errorf("corrected: got %v", got)
	}
}

func TestLightObjectsAreTakenBack(t *testing.T) {
	w := newWorld(t)
	light, bad := w.configMap("light", nil), w.deployment("bad", "app:1")
	_ = unstructured.SetNestedField(bad.Object, "Nonsense", "spec", "template", "spec", "restartPolicy")
	objs := objectsOf(light, bad)
	got, requests, err := w.apply(objs)
	if err == nil || len(got) != 0 {
		t.Fatalf("want an error and no change, got %v, %v", err, got)
	}
	if w.exists(kube.RefOf(light)) {
		t.Errorf("what was created in vain must go again; requests: %v", requests)
	}
	_, requests, err = w.apply(objs)
	if c := count(requests); err == nil || c["PATCH"] != 0 || c["PATCH?dryRun"] != 2 {
		t.Errorf("the next attempt must prove everything before it writes: %v, %v", requests, err)
	}
}

func TestTenant(t *testing.T) {
	w := newWorld(t)
	id := kube.Identity{Namespace: w.env.Namespace, ServiceAccount: "tenant"}
	w.grant("tenant", []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}}})
	as := func(o *apply.Options) { o.Identity = id }
	obj := objectsOf(w.configMap("a", map[string]any{"k": "1"}))
	if got, _ := w.mustApply(obj, as); got["ConfigMap/a"] != apply.Created {
		t.Errorf("want it created, got %v", got)
	}
	for _, e := range w.get(kube.RefOf(obj[0])).GetManagedFields() {
		if e.Manager != apply.DefaultManager {
			t.Errorf("want only our field manager, got %s", e.Manager)
		}
	}
	opts := w.options()
	as(&opts)
	changes, err := w.engine.Prune(t.Context(), []kube.Ref{kube.RefOf(obj[0])}, opts)
	if err != nil || len(changes) != 1 || changes[0].Action != apply.Deleted {
		t.Errorf("prune as the tenant: %v, %v", changes, err)
	}
	if _, err := w.engine.Prune(t.Context(), []kube.Ref{kube.RefOf(w.deployment("x", "x"))}, opts); apply.Errors(err)[0].Reason != apply.ReasonForbidden {
		t.Errorf("prune of what the tenant may not see: want Forbidden, got %v", err)
	}
}

// grant gives a service account of the test's namespace rights there.
func (w *world) grant(account string, rules []rbacv1.PolicyRule) {
	w.t.Helper()
	rbac := w.env.Clientset(w.t).RbacV1()
	meta := metav1.ObjectMeta{Name: account, Namespace: w.env.Namespace}
	if _, err := rbac.Roles(w.env.Namespace).Create(w.t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: w.env.Namespace}},
	}
	if _, err := rbac.RoleBindings(w.env.Namespace).Create(w.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the rights are known", func() bool {
		client := w.clientOf(account)
		_, err := client.Metadata.Resource(configMaps).Namespace(w.env.Namespace).List(w.t.Context(), metav1.ListOptions{})
		return err == nil
	})
}

// grantAll makes a service account the administrator of the test's namespace, who may pass on only what he has.
func (w *world) grantAll(account string) {
	w.t.Helper()
	w.grant(account, []rbacv1.PolicyRule{
		{APIGroups: []string{"", "apps"}, Resources: []string{"*"}, Verbs: []string{"*"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "rolebindings"}, Verbs: []string{"get", "list", "watch", "create", "patch", "delete"}},
	})
}

// TestARefusedSetLeavesAloneWhatOthersMade brings objects that somebody else has made already, together with one that is refused. No watch
// knows them: they have no owner label.
func TestARefusedSetLeavesAloneWhatOthersMade(t *testing.T) {
	for name, tc := range map[string]struct {
		reason       string
		there, wants map[string]any
	}{
		"another value": {"it would be overwritten", map[string]any{"v": "theirs"}, map[string]any{"v": "ours"}},
		"one more key":  {"nobody owns it, so nothing is contended", map[string]any{"v": "theirs"}, map[string]any{"v": "theirs", "w": "ours"}},
		"the very same": {"it would get our labels", map[string]any{"v": "theirs"}, map[string]any{"v": "theirs"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			theirs := w.configMap("adopted", tc.there)
			if _, err := w.admin().Namespace(w.env.Namespace).Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "helm"}); err != nil {
				t.Fatal(err)
			}
			ref := kube.RefOf(theirs)
			before := w.get(ref)
			ours, app := w.configMap("adopted", tc.wants), w.deployment("app", "app:1")
			good := app.DeepCopy()
			_ = unstructured.SetNestedField(app.Object, "Nonsense", "spec", "template", "spec", "restartPolicy")
			fresh := w.configMap("fresh", nil)
			if _, requests, err := w.apply(objectsOf(ours, fresh, app)); err == nil {
				t.Fatalf("want an error; requests: %v", requests)
			}
			if after := w.get(ref); !equal(before.Object, after.Object) {
				t.Errorf("%s: it was\n%v\nand is\n%v", tc.reason, before.Object, after.Object)
			}
			if w.exists(kube.RefOf(fresh)) {
				t.Error("what was created in vain must go again")
			}
			w.restart() // so that the owner isn't a careful one
			got, requests := w.mustApply(objectsOf(ours, fresh, good))
			if len(requests) > 7 { // that it exists is not asked for again and again
				t.Errorf("corrected it took %v", requests)
			}
			if got["ConfigMap/adopted"] != apply.Configured || got["Deployment/app"] != apply.Created {
				t.Errorf("corrected: %v, by %v", got, requests)
			}
			if data := w.get(ref).Object["data"]; !equal(data, ours.Object["data"]) {
				t.Errorf("corrected, it is %v", data)
			}
		})
	}
}
