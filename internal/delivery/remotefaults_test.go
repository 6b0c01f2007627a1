package delivery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/agent"
)

// namespaced makes the world's namespace in the remote cluster too.
func (a *abroad) namespaced(w *world) {
	w.Helper()
	if err := a.client.Create(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}); err != nil {
		w.Fatal(err)
	}
}

// is waits until a ConfigMap of the remote cluster has a value.
func (a *abroad) is(w *world, name, value string) *corev1.ConfigMap {
	w.Helper()
	cm := w.configMap(name)
	w.poll(name+" is "+value+" in the remote cluster", func() bool {
		err := a.client.Get(w.Context(), client.ObjectKeyFromObject(cm), cm)
		return err == nil && cm.Data["value"] == value
	}, cm)
	return cm
}

// TestARemoteClusterThatHangs goes on taking connections and says nothing any more, while more Kustomizations have something to do there than
// there are workers. Those of the agent's own cluster go on.
func TestARemoteClusterThatHangs(t *testing.T) {
	t.Parallel()
	const workers = 2
	a := newAbroad(t)
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.Concurrent = workers })
	a.namespaced(w)
	files := map[string]string{"home/home.yaml": configMapFile("home", "1")}
	for i := range 3 * workers {
		files[fmt.Sprintf("there%d/a.yaml", i)] = configMapFile(fmt.Sprintf("a%d", i), "1")
	}
	first := w.commit(files)
	w.source()
	w.kubeconfigSecret("abroad", a.kubeconfig)
	home := w.kustomization("home", in("home"))
	var remote []*kustomizev1.Kustomization
	for i := range 3 * workers {
		remote = append(remote, w.kustomization(fmt.Sprintf("there%d", i), in(fmt.Sprintf("there%d", i)), onRemote("abroad")))
	}
	for _, ks := range append(remote, home) {
		w.applied(ks, first)
	}

	a.way.hang(true)
	for name := range files {
		files[name] = strings.ReplaceAll(files[name], `"1"`, `"2"`)
	}
	second := w.commit(files)
	began := time.Now()
	w.fetch()
	w.applied(home, second)
	t.Logf("at home it took %s, from the moment that the remote cluster hangs", time.Since(began))
	for _, ks := range remote {
		if message := w.refused(ks, "ClusterUnreachable"); !strings.Contains(message, "does not answer") {
			t.Errorf("the message does not say why: %s", message)
		}
	}
	for i := range 5 { // from now on it costs nobody anything
		began := time.Now()
		revision := w.commit(map[string]string{"home/home.yaml": configMapFile("home", fmt.Sprint("again ", i))})
		w.fetch()
		w.applied(home, revision)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("at home a commit takes %s while a remote cluster hangs", took)
		}
	}
	last := home.Status.LastAppliedRevision
	a.way.hang(false)
	for i, ks := range remote {
		w.applied(ks, last)
		a.is(w, fmt.Sprintf("a%d", i), "2")
	}
}

// TestAKubeconfigThatLeadsElsewhere has the Secret lead to another cluster, while an object leaves the source. Nothing is deleted in either
// cluster: what the one before has stays there, and what the other one has of the same name is not ours.
func TestAKubeconfigThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	before, after := newAbroad(t), newAbroad(t)
	w := newWorld(t)
	before.namespaced(w)
	after.namespaced(w)
	first := w.commit(map[string]string{"a.yaml": configMapFile("a", "1"), "b.yaml": configMapFile("b", "1"), "c.yaml": configMapFile("c", "1")})
	w.source()
	secret := w.kubeconfigSecret("abroad", before.kubeconfig)
	ks := w.kustomization("shop", onRemote("abroad"))
	w.applied(ks, first)
	there := before.is(w, "b", "1")
	theirs := w.configMap("b")
	theirs.Data = map[string]string{"value": "somebody else's"}
	if err := after.client.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}

	// Both at once for the agent: of what the other cluster has, it must not apply b before.
	update(w, ks, func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true })
	w.remove("b.yaml")
	second := w.commit(map[string]string{"c.yaml": configMapFile("c", "2")})
	w.fetch()
	update(w, secret, func(s *corev1.Secret) { s.Data["value"] = after.kubeconfig })
	w.request(ks) // the Secret is read again
	update(w, ks, func(k *kustomizev1.Kustomization) { k.Spec.Suspend = false })
	w.applied(ks, second)
	after.is(w, "a", "1")
	after.is(w, "c", "2")
	if got := after.is(w, "b", "somebody else's"); got.UID != theirs.UID || got.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("what somebody else has in the other cluster was touched: %v", got)
	}
	if got := before.is(w, "b", "1"); got.UID != there.UID {
		t.Error("an object of the cluster before was made again")
	}
	before.is(w, "a", "1")
	before.is(w, "c", "1")
	var ids []string
	for _, e := range ks.Status.Inventory.Entries {
		ids = append(ids, e.ID)
	}
	if got := strings.Join(ids, " "); got != w.Namespace+"_a__ConfigMap "+w.Namespace+"_c__ConfigMap" {
		t.Errorf("the inventory is of the cluster that it leads to now; it has %s", got)
	}

	// Drift is watched there, and nowhere else.
	cm := after.is(w, "a", "1")
	if err := after.client.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	after.is(w, "a", "1")
	cm = before.is(w, "c", "1")
	if err := before.client.Delete(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	third := w.commit(map[string]string{"c.yaml": configMapFile("c", "3")})
	w.fetch()
	w.applied(ks, third)
	after.is(w, "c", "3")
	if err := before.client.Get(t.Context(), client.ObjectKeyFromObject(cm), cm); !apierrors.IsNotFound(err) {
		t.Errorf("the cluster before is left alone: %v", err)
	}
}

// TestImpersonationInARemoteCluster applies as the service account of the remote cluster, and with no rights of the one at home.
func TestImpersonationInARemoteCluster(t *testing.T) {
	t.Parallel()
	a := newAbroad(t)
	w := newWorld(t)
	a.namespaced(w)
	revision := w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	w.kubeconfigSecret("abroad", a.kubeconfig)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}})
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}}
	w.grant("deployer", rule)
	ks := w.kustomization("shop", onRemote("abroad"), withServiceAccount("deployer"))
	if message := w.refused(ks, "ReconciliationFailed"); !strings.Contains(message, "system:serviceaccount:"+w.Namespace+":deployer") {
		t.Errorf("the message must name the account, which may do nothing there: %s", message)
	}
	if err := a.client.Get(t.Context(), client.ObjectKeyFromObject(w.configMap("a")), w.configMap("a")); !apierrors.IsNotFound(err) {
		t.Errorf("the object was made with other rights: %v", err)
	}
	for _, obj := range []client.Object{
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace}, Rules: []rbacv1.PolicyRule{rule}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "deployer", Namespace: w.Namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "deployer"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "deployer", Namespace: w.Namespace}},
		},
	} {
		if err := a.client.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	w.applied(ks, revision)
	a.is(w, "a", "1")
}
