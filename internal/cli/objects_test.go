package cli

import (
	"encoding/json"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

func TestGet(t *testing.T) {
	w := newWorld(t)
	w.slipway("get").want(t, ExitDone, "nothing is delivered", "-A")

	failing := kustomization("cart", "shop")
	failing.Status.Conditions = []metav1.Condition{
		condition(meta.ReadyCondition, metav1.ConditionFalse, "BuildFailed", "deploy/kustomization.yaml\n isn't there"),
	}
	w.has(source("shop"), kustomization("shop", "shop"), failing)

	got := w.slipway("get")
	got.want(t, ExitDone, "gitrepository/shop", "kustomization/cart", "main@sha1:01234567", "False", "deploy/kustomization.yaml…")
	if lines := strings.Count(got.out, "\n"); lines != 4 {
		t.Errorf("%d lines, want a header and three objects:\n%s", lines, got.out)
	}
	w.slipway("get", "ks", "-A").want(t, ExitDone, "NAMESPACE", w.namespace, "Applied revision")
	w.slipway("get", "gitrepo", "shop").want(t, ExitDone, "stored artifact")
	w.slipway("get", "ks/shop").want(t, ExitDone, "Applied revision")
	w.slipway("get", "ks", "shpo").want(t, ExitFailed, "not found", "there are: cart, shop")

	var one kustomizev1.Kustomization
	if err := yaml.Unmarshal([]byte(w.slipway("get", "ks", "shop", "-o", "yaml").out), &one); err != nil {
		t.Fatal(err)
	}
	if one.Kind != kustomizev1.KustomizationKind || one.Spec.Path != "./deploy" {
		t.Errorf("the YAML can't be applied again: %s %q", one.Kind, one.Spec.Path)
	}
	var all struct {
		Kind  string
		Items []metav1.PartialObjectMetadata
	}
	if err := json.Unmarshal([]byte(w.slipway("get", "all", "-o", "json").out), &all); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, item := range all.Items {
		kinds = append(kinds, item.Kind)
	}
	if diff := cmp.Diff([]string{"GitRepository", "Kustomization", "Kustomization"}, kinds); diff != "" || all.Kind != "List" {
		t.Errorf("%s (-want +got):\n%s", all.Kind, diff)
	}
}

func TestCompletionKnowsTheNamesInTheCluster(t *testing.T) {
	w := newWorld(t)
	w.has(kustomization("shop", "shop"), kustomization("cart", "shop"))
	got := slipway(t, "__complete", "--kubeconfig", w.kubeconfig, "reconcile", "ks", "")
	got.want(t, ExitDone, "cart\nshop\n")
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t)
	shop, cart := kustomization("shop", "shop"), kustomization("cart", "shop")
	w.has(shop, cart)
	w.answering(kustomizationKind(), func(delivered) []metav1.Condition {
		return []metav1.Condition{condition(meta.ReadyCondition, metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision: x")}
	})

	w.slipway("suspend", "kustomization", "shop").want(t, ExitDone, "suspended")
	w.slipway("suspend", "ks", "--all").want(t, ExitDone, "shop is suspended already", "cart suspended")
	for _, ks := range []*kustomizev1.Kustomization{shop, cart} {
		if w.reload(ks); !ks.Spec.Suspend {
			t.Errorf("%s isn't suspended", ks.Name)
		}
	}
	w.slipway("reconcile", "ks", "shop").want(t, ExitFailed, "is suspended", "slipway resume kustomization shop")

	w.slipway("resume", "ks", "shop").want(t, ExitDone, "resumed", "Applied revision: x")
	w.slipway("resume", "ks", "--all", "--no-wait").want(t, ExitDone, "shop isn't suspended", "cart resumed")
	for _, ks := range []*kustomizev1.Kustomization{shop, cart} {
		if w.reload(ks); ks.Spec.Suspend {
			t.Errorf("%s is still suspended", ks.Name)
		}
	}
	w.slipway("suspend", "ks", "nosuch").want(t, ExitFailed, "not found")
	w.slipway("suspend", "source", "--all").want(t, ExitDone, "has no sources")
	w.slipway("suspend", "ks", "shop", "--all").want(t, ExitUsage, "without a name")
}

func inventory(ids ...string) *kustomizev1.ResourceInventory {
	var inv kustomizev1.ResourceInventory
	for _, id := range ids {
		inv.Entries = append(inv.Entries, kustomizev1.ResourceRef{ID: id, Version: "v1"})
	}
	return &inv
}

func TestTree(t *testing.T) {
	w := newWorld(t)
	ns := w.namespace
	child := kustomization("child", "shop")
	child.Status.Inventory = inventory(ns+"_settings__ConfigMap", ns+"_root_kustomize.toolkit.fluxcd.io_Kustomization")
	root := kustomization("root", "shop")
	root.Status.Inventory = inventory(
		ns+"_child_kustomize.toolkit.fluxcd.io_Kustomization", ns+"_gone__ConfigMap", ns+"_lost_no.such.group_Thing")
	w.has(root, child, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}})

	got := w.slipway("tree", "kustomization", "root")
	got.want(t, ExitDone, "├── Kustomization/"+ns+"/child", "│   └── ConfigMap/"+ns+"/settings", "Healthy", "Missing", "└── Thing/")
	if strings.Count(got.out, "/root") != 1 {
		t.Errorf("a Kustomization that has itself in its inventory is shown again:\n%s", got.out)
	}
	var top node
	if err := json.Unmarshal([]byte(w.slipway("tree", "ks", "root", "-o", "json").out), &top); err != nil {
		t.Fatal(err)
	}
	if len(top.Children) != 3 || len(top.Children[0].Children) != 1 || top.Children[1].State != stateMissing {
		t.Errorf("another tree in JSON: %+v", top)
	}
	w.slipway("tree", "ks", "nosuch").want(t, ExitFailed, "not found", "there are: child, root")
}

// Whoever looks with one verb must not be told something else by another.
func TestTreeAndTraceSayTheSame(t *testing.T) {
	w := newWorld(t)
	const failure = "deploy/kustomization.yaml: no such file"
	failing := kustomization("failing", "shop")
	failing.Status.ObservedGeneration = 0 // a failure that is tried again has not seen its spec to an end
	failing.Status.Conditions = []metav1.Condition{
		condition(meta.ReadyCondition, metav1.ConditionFalse, "BuildFailed", failure),
		condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason, "Trying again"),
	}
	paused := kustomization("paused", "shop")
	of := func(name string) *corev1.ConfigMap {
		labels := map[string]string{observe.LabelName: name, observe.LabelNamespace: w.namespace}
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	w.has(source("shop"), failing, paused, of("failing"), of("paused"))
	w.slipway("suspend", "ks", "paused").want(t, ExitDone)

	for name, want := range map[string][]string{"failing": {"Degraded", failure}, "paused": {"Suspended", "slipway resume"}} {
		for _, call := range [][]string{{"tree", "ks/" + name}, {"trace", "cm/" + name}} {
			got := w.slipway(call...)
			got.want(t, ExitDone, want...)
			if strings.Contains(got.out, "has not seen") {
				t.Errorf("%v: its controller has seen it:\n%s", call, got.out)
			}
		}
	}
}

func TestGistIsOneShortLine(t *testing.T) {
	for message, want := range map[string]string{
		"Applied revision: x":          "Applied revision: x",
		"two objects failed:\n- a\n-b": "two objects failed:…",
		strings.Repeat("é", 200):       strings.Repeat("é", maxGist-1) + "…",
		"":                             "",
	} {
		if got := gist(message); got != want {
			t.Errorf("%q becomes %q, want %q", message, got, want)
		}
	}
}

func TestSilentLogsAreExplained(t *testing.T) {
	for name, tc := range map[string]struct {
		opts    logOptions
		printed int
		want    string
	}{
		"filtered": {logOptions{filter: logFilter{name: "nosuch"}}, 0, "matches --kind, --name"},
		"empty":    {logOptions{}, 0, "logged nothing"},
		"followed": {logOptions{follow: true, filter: logFilter{name: "nosuch"}}, 0, ""},
		"found":    {logOptions{filter: logFilter{name: "shop"}}, 1, ""},
	} {
		var errs strings.Builder
		newApp(Streams{Err: &errs, Out: &errs}).explainSilence(tc.opts, tc.printed)
		if got := errs.String(); !strings.Contains(got, tc.want) || (tc.want == "") != (got == "") {
			t.Errorf("%s: says %q, want %q", name, got, tc.want)
		}
	}
}

func TestTrace(t *testing.T) {
	w := newWorld(t)
	labels := map[string]string{observe.LabelName: "shop", observe.LabelNamespace: w.namespace}
	cart := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "cart", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "cart"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "cart", Image: "cart:1"}}},
			},
		},
	}
	w.has(source("shop"), kustomization("shop", "shop"), cart)
	yes := true
	replica := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "cart-1", OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "apps/v1", Kind: "Deployment", Name: "cart", UID: cart.UID, Controller: &yes,
		}}},
		Spec: appsv1.ReplicaSetSpec{Selector: cart.Spec.Selector, Template: cart.Spec.Template},
	}
	w.has(replica, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "stray"}})

	for _, call := range [][]string{{"deployment/cart"}, {"deploy", "cart"}, {"Deployment.apps/cart"}} {
		w.slipway(append([]string{"trace"}, call...)...).want(t, ExitDone,
			"Deployment/"+w.namespace+"/cart", w.namespace+"/shop", "./deploy", commit, "git.example.com/shop", "branch main")
	}
	got := w.slipway("trace", "rs/cart-1")
	got.want(t, ExitDone, "Owned by", "Deployment/"+w.namespace+"/cart", "Applied revision")
	if strings.Contains(got.out, "hunter2") {
		t.Errorf("a password is shown:\n%s", got.out)
	}
	var found traced
	if err := json.Unmarshal([]byte(w.slipway("trace", "deploy/cart", "-o", "json").out), &found); err != nil {
		t.Fatal(err)
	}
	if found.Kustomization.Name != "shop" || found.Source.Revision != commit {
		t.Errorf("another way in JSON: %+v", found)
	}
	w.slipway("trace", "cm/stray").want(t, ExitFailed, "comes from no Kustomization")
	w.slipway("trace", "cm/nosuch").want(t, ExitFailed, "not found", "-n")
	w.slipway("trace", "nosuch/cart").want(t, ExitFailed, `no kind "nosuch"`)
	w.slipway("trace", "cart").want(t, ExitUsage, "KIND/NAME")
}

func TestGetReceivers(t *testing.T) {
	w := newWorld(t)
	const path = "/hook/bed6d00b5555b1603e1f59b94d7fdbca58089cb5663633fb83f2815dc626d92b"
	hook := &notificationv1.Receiver{
		ObjectMeta: metav1.ObjectMeta{Name: "push"},
		Spec: notificationv1.ReceiverSpec{
			Type: "github", SecretRef: &meta.LocalObjectReference{Name: "hook"},
			Resources: []notificationv1.ReceiverResource{{CrossNamespaceObjectReference: notificationv1.CrossNamespaceObjectReference{Kind: "GitRepository", Name: "shop"}}},
		},
	}
	hook.Status.WebhookPath = path
	hook.Status.Conditions = []metav1.Condition{condition(meta.ReadyCondition, metav1.ConditionTrue, meta.SucceededReason, "Receiver initialized for path: "+path)}
	w.has(hook)
	w.slipway("get", "receivers").want(t, ExitDone, "push", path, "True")
	w.slipway("suspend", "receiver", "push").want(t, ExitDone, "push")
	w.slipway("get", "receiver", "push").want(t, ExitDone, "True", path)
	w.slipway("resume", "receiver", "push", "--no-wait").want(t, ExitDone, "push")
}
