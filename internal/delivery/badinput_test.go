package delivery_test

import (
	"slices"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestBadInput checks for each kind of bad input that it ends in a condition that says what to do, that what ran before goes on, and
// that a fix is applied at once.
func TestBadInput(t *testing.T) {
	t.Parallel()
	good := map[string]string{"deploy/a.yaml": configMapFile("a", "1"), "deploy/web.yaml": deploymentFile("web", "web:1")}
	for name, tc := range map[string]struct {
		files  map[string]string
		remove []string
		reason string
		says   []string
	}{
		"broken YAML":   {files: map[string]string{"deploy/b.yaml": "kind: ConfigMap\n  bad: [indent\n"}, reason: meta.BuildFailedReason, says: []string{"b.yaml"}},
		"missing path":  {remove: []string{"deploy"}, files: map[string]string{"elsewhere/a.yaml": configMapFile("a", "1")}, reason: "InvalidPath", says: []string{"deploy"}},
		"missing base":  {files: map[string]string{"deploy/kustomization.yaml": "resources: [../nowhere]\n"}, reason: meta.BuildFailedReason, says: []string{"nowhere"}},
		"unknown field": {files: map[string]string{"deploy/a.yaml": configMapFile("a", "1") + "surprise: true\n"}, reason: meta.ReconciliationFailedReason, says: []string{"surprise", "ConfigMap"}},
		"unknown kind": {
			files:  map[string]string{"deploy/b.yaml": "apiVersion: nowhere.example/v1\nkind: Widget\nmetadata: {name: b}\n"},
			reason: meta.ReconciliationFailedReason, says: []string{"Widget"},
		},
		"immutable field": {
			files:  map[string]string{"deploy/a.yaml": configMapFile("a", "2"), "deploy/web.yaml": otherSelector("web")},
			reason: meta.ReconciliationFailedReason, says: []string{"Deployment", "immutable", "force"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := w.commit(good)
			w.source()
			ks := w.kustomization("shop", in("./deploy"))
			w.applied(ks, first)

			if len(tc.remove) > 0 {
				w.remove(tc.remove...)
			}
			bad := w.commit(tc.files)
			w.fetch()
			message := w.refused(ks, tc.reason)
			for _, word := range tc.says {
				if !strings.Contains(message, word) {
					t.Errorf("the message must name %q: %s", word, message)
				}
			}
			until(w, ks, "the attempt is recorded", func() bool { return ks.Status.LastAttemptedRevision == bad })
			if ks.Status.LastAppliedRevision != first {
				t.Errorf("last applied is %s, want %s: nothing of the bad revision counts", ks.Status.LastAppliedRevision, first)
			}
			w.value("a", "1")

			fixed := w.commit(map[string]string{
				"deploy/a.yaml": configMapFile("a", "3"), "deploy/b.yaml": configMapFile("b", "1"),
				"deploy/web.yaml": deploymentFile("web", "web:2"), "deploy/kustomization.yaml": "resources: [a.yaml, b.yaml, web.yaml]\n",
			})
			w.fetch()
			w.applied(ks, fixed)
			w.value("a", "3")
		})
	}
}

// otherSelector is deploymentFile with another selector, which a Deployment can't change.
func otherSelector(name string) string {
	return strings.ReplaceAll(deploymentFile(name, "web:2"), "{app: "+name+"}", "{app: other}")
}

func TestForceReplacesWhatIsImmutable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1")})
	w.source()
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) { k.Spec.Force = true })
	w.applied(ks, first)
	second := w.commit(map[string]string{"web.yaml": otherSelector("web")})
	w.fetch()
	w.applied(ks, second)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.Namespace}}
	until(w, d, "it was made anew", func() bool { return d.Spec.Selector.MatchLabels["app"] == "other" })
}

func TestUnsupportedFieldsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
		k.Spec.HealthChecks = slices.Repeat([]meta.NamespacedObjectKindReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "a"}}, 101)
	})
	if message := w.refused(ks, "UnsupportedField"); !strings.Contains(message, "spec.healthChecks") {
		t.Errorf("the message must name the field: %q", message)
	}
	elsewhere := w.kustomization("elsewhere", func(k *kustomizev1.Kustomization) {
		k.Spec.KubeConfig = &meta.KubeConfigReference{ConfigMapRef: &meta.LocalObjectReference{Name: "cluster"}}
	})
	if message := w.refused(elsewhere, "UnsupportedField"); !strings.Contains(message, "spec.kubeConfig.configMapRef") {
		t.Errorf("the message must name the field: %q", message)
	}
	other := w.kustomization("oci", func(k *kustomizev1.Kustomization) { k.Spec.SourceRef.Kind = "OCIRepository" })
	if message := w.refused(other, meta.ArtifactFailedReason); !strings.Contains(message, "OCIRepository") {
		t.Errorf("the message must name the kind: %q", message)
	}
}

// grant lets a service account do what rule says, in the world's namespace.
func (w *world) grant(account string, rule rbacv1.PolicyRule) {
	w.Helper()
	w.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: account, Namespace: w.Namespace}, Rules: []rbacv1.PolicyRule{rule}})
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account, Namespace: w.Namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: w.Namespace}},
	})
	w.AwaitRights(w, "system:serviceaccount:"+w.Namespace+":"+account, authorizationv1.ResourceAttributes{
		Namespace: w.Namespace, Group: rule.APIGroups[0], Resource: rule.Resources[0], Verb: rule.Verbs[0],
	})
}

func TestServiceAccountDecidesWhatIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", withServiceAccount("deployer"))
	if message := w.refused(ks, meta.ReconciliationFailedReason); !strings.Contains(message, "doesn't exist") {
		t.Errorf("the message must say that there is no such account: %q", message)
	}
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}})
	token := w.request(ks)
	until(w, ks, "it is tried again", func() bool { return ks.Status.LastHandledReconcileAt == token })
	message := w.refused(ks, meta.ReconciliationFailedReason)
	if !strings.Contains(message, "deployer") {
		t.Errorf("the message must name the account that lacks the right: %q", message)
	}

	w.grant("deployer", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}})
	w.request(ks)
	w.applied(ks, revision)
	w.value("a", "1")

	if err := w.client.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}}); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Delete(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	w.gone(ks) // it must not hang on an account that is gone
	w.value("a", "1")
}

func TestKindThatAppearsLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := strings.ReplaceAll(w.Namespace, "-", "") + ".example"
	definition := strings.ReplaceAll(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.GROUP
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`, "GROUP", group)
	revision := w.commit(map[string]string{
		"widget/w.yaml": "apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: w}\n", "definition/crd.yaml": definition,
	})
	w.source()
	widget := w.kustomization("widget", in("./widget"))
	w.refused(widget, meta.ReconciliationFailedReason)
	definitions := w.kustomization("definition", in("./definition"))
	w.applied(definitions, revision)
	w.applied(widget, revision) // at once, although its interval is an hour
}

// TestTwoOwners checks that two Kustomizations of one object don't take it from each other for ever: the newer one has it, as when objects
// move from one to the other, and the older one says so.
func TestTwoOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	older := w.kustomization("older")
	w.applied(older, first)
	newer := w.kustomization("newer")
	w.applied(newer, first)
	if message := w.refused(older, meta.ReconciliationFailedReason); !strings.Contains(message, "newer") {
		t.Errorf("the message must name the other owner: %q", message)
	}
	if err := w.client.Delete(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	w.gone(older)
	w.value("a", "1") // it is not the older one's to delete
	w.applied(newer, first)
}
