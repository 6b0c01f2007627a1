package delivery_test

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/slipway-dev/slipway/internal/agent"
)

func TestServiceAccountIsRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.AllowAgentIdentity = false })
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	ks := w.kustomization("shop", func(k *kustomizev1.Kustomization) {
		k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "v1", Kind: "Secret", Name: "any", Namespace: "kube-system"}}
	})
	if message := w.refused(ks, "ServiceAccountRequired"); !strings.Contains(message, "spec.serviceAccountName") {
		t.Errorf("the message must say what to set: %q", message)
	}
	if !apimeta.IsStatusConditionTrue(ks.Status.Conditions, meta.StalledCondition) || ks.Status.Inventory != nil {
		t.Errorf("nothing may be done for it: %+v", ks.Status)
	}
	if err := w.client.Delete(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	w.gone(ks)
}

func TestSourceThatComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	repo := w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	if err := w.client.Delete(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	w.gone(repo)
	w.request(ks)
	w.refused(ks, meta.ArtifactFailedReason)
	a := w.configMap("a")
	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["value"] = "while there was no source" })

	w.source()
	w.applied(ks, revision)
	w.value("a", "1")
}

func TestDependencyThatFailsLaterHoldsUpNothingThatIsApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"base/web.yaml": deploymentFile("web", "web:1"), "app/a.yaml": configMapFile("a", "1")})
	w.source()
	base := w.kustomization("base", in("./base"), waiting(10*time.Minute))
	w.rollOut("web")
	w.applied(base, first)
	app := w.kustomization("app", in("./app"), dependingOn("base"))
	w.applied(app, first)

	w.rollOut("web", deadlineExceeded)
	w.refused(base, meta.HealthCheckFailedReason)
	a := w.configMap("a")
	until(w, a, "it is there", func() bool { return true })
	update(w, a, func(cm *corev1.ConfigMap) { cm.Data["value"] = "by hand" })
	w.value("a", "1")

	w.commit(map[string]string{"app/a.yaml": configMapFile("a", "2")})
	w.fetch()
	w.refused(app, meta.DependencyNotReadyReason)
	w.value("a", "1")
	third := w.commit(map[string]string{"app/a.yaml": configMapFile("a", "1")}) // as it was: nothing is left to wait for
	w.fetch()
	w.applied(app, third)
}

func TestRecoveredHealthIsNoProofOfARevisionThatWasNotBuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1")})
	w.source()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "vars", Namespace: w.Namespace}, StringData: map[string]string{"x": "value"}}
	w.create(secret)
	ks := w.kustomization("shop", waiting(10*time.Minute), func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "Secret", Name: "vars"}}}
	})
	w.rollOut("web")
	w.applied(ks, first)

	if err := w.client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	second := w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:2")})
	w.fetch()
	w.refused(ks, meta.BuildFailedReason)
	w.rollOut("web", deadlineExceeded)
	w.rollOut("web")
	witness := w.kustomization("witness", func(k *kustomizev1.Kustomization) { k.Spec.NamePrefix = "w-" })
	w.applied(witness, second)
	until(w, ks, "it is looked at", func() bool { return true })
	if c := ready(ks.Status.Conditions); c.Status == metav1.ConditionTrue || ks.Status.LastAppliedRevision != first {
		t.Errorf("Ready is %s at %s, but %s was never built", c.Status, ks.Status.LastAppliedRevision, second)
	}
}

func TestGitServersThatDoNotAnswerHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	silent := silentServer(t)
	for _, name := range []string{"s1", "s2", "s3", "s4", "s5"} {
		w.create(&sourcev1.GitRepository{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace},
			Spec:       sourcev1.GitRepositorySpec{URL: "http://" + silent + "/x.git", Interval: metav1.Duration{Duration: time.Hour}},
		})
	}
	w.stored(w.source(), revision)
}

func TestHealthIsSeenWithTheRightsOfTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"owner/web.yaml": deploymentFile("web", "web:1"), "nothing/kustomization.yaml": "resources: []\n"})
	w.source()
	owner := w.kustomization("owner", in("./owner"))
	w.applied(owner, first)
	w.rollOut("web", deadlineExceeded)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "nobody", Namespace: w.Namespace}})
	spy := w.kustomization("spy", in("./nothing"), withServiceAccount("nobody"), func(k *kustomizev1.Kustomization) {
		k.Spec.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", Namespace: w.Namespace}}
	})
	until(w, spy, "it says that it may not see", func() bool {
		c := apimeta.FindStatusCondition(spy.Status.Conditions, meta.ReconcilingCondition)
		return c != nil && strings.Contains(c.Message, "can't be read")
	})
	for _, c := range spy.Status.Conditions {
		if strings.Contains(c.Message, "timed out progressing") {
			t.Errorf("the account has no rights, and sees: %q", c.Message)
		}
	}
}

func TestFetchIsRecordedAlthoughTheAPIServerWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	failures := 2
	w.requests.mu.Lock()
	w.requests.refuse = func(r *http.Request) bool {
		if r.Method != http.MethodPatch || !strings.Contains(r.URL.Path, "/status") || failures == 0 {
			return false
		}
		failures--
		return true
	}
	w.requests.mu.Unlock()
	w.stored(w.source(), revision) // although its interval is an hour
	w.applied(w.kustomization("shop"), revision)
}

func TestDeadlineComesAlsoWhereNothingCanBeWatched(t *testing.T) {
	t.Parallel()
	now := clocktesting.NewFakePassiveClock(time.Now())
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.Clock = now })
	w.commit(map[string]string{"web.yaml": deploymentFile("web", "web:1")})
	w.source()
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}})
	w.grant("deployer", rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "create", "patch"}})
	ks := w.kustomization("shop", waiting(time.Minute), withServiceAccount("deployer"))
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.Namespace}}
	until(w, d, "it is applied", func() bool { return true })
	for range 4 {
		now.SetTime(now.Now().Add(20 * time.Second))
		w.request(ks)
	}
	if message := w.refused(ks, meta.HealthCheckFailedReason); !strings.Contains(message, "timeout") {
		t.Errorf("the message must say that time ran out: %q", message)
	}
}

func TestClusterScopedObjectsOfAKindOfOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := strings.ReplaceAll(w.Namespace, "-", "") + ".example"
	definition := strings.ReplaceAll(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ships.GROUP
spec:
  group: GROUP
  scope: Cluster
  names: {plural: ships, singular: ship, kind: Ship, listKind: ShipList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`, "GROUP", group)
	revision := w.commit(map[string]string{
		"crd.yaml": definition, "ship.yaml": "apiVersion: " + group + "/v1\nkind: Ship\nmetadata: {name: titan}\nspec: {masts: 3}\n",
	})
	w.source()
	ks := w.kustomization("shop")
	w.applied(ks, revision)
	if id := "_titan_" + group + "_Ship"; !slices.ContainsFunc(ks.Status.Inventory.Entries, func(e kustomizev1.ResourceRef) bool { return e.ID == id }) {
		t.Errorf("the inventory lacks %s: %v", id, ks.Status.Inventory.Entries)
	}
	ship := &unstructured.Unstructured{}
	ship.SetAPIVersion(group + "/v1")
	ship.SetKind("Ship")
	ship.SetName("titan")
	until(w, ship, "it is there", func() bool { return true })
	update(w, ship, func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(9), "spec", "masts")
	})
	until(w, ship, "it is put back", func() bool {
		masts, _, _ := unstructured.NestedInt64(ship.Object, "spec", "masts")
		return masts == 3
	})
}

// silentServer accepts connections and never says a word. It returns its address.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}
