package upgrade_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/cli"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
)

// TestDeliveryInPodsOfItsOwn: the agent installs delivery as a module, its pods deliver, one of them after the other, and when the module is gone
// the agent does again.
func TestDeliveryInPodsOfItsOwn(t *testing.T) {
	y := newYard(t)
	y.build(t.TempDir(), "one", "../../cmd/slipway", "-X=main.build=one")
	y.install("one", "modules")
	// Pods reach what listens on the host's address in the lab's network.
	server, packages := gittest.Start(t, "packages", gitserver.Options{Listen: []string{y.real.Lab.Gateway().String() + ":0"}})
	shop, err := server.Repo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	y.shop(shop)
	y.delivers(shop, "by the agent", duty.ByAgent)

	m := y.deliveryModule(packages)
	y.poll("delivery is installed", func(ctx context.Context) error {
		if err := y.Get(ctx, client.ObjectKeyFromObject(m), m); err != nil {
			return err
		}
		if m.Status.Phase != v1alpha1.PhaseInstalled {
			return fmt.Errorf("it is %s: %+v", m.Status.Phase, m.Status)
		}
		return nil
	})
	first := y.delivers(shop, "by a pod of the module", byPods)

	pod, _, _ := strings.Cut(first, "_")
	if err := y.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: deploy.Namespace, Name: pod}}); err != nil {
		t.Fatal(err)
	}
	y.delivers(shop, "by another pod of the module", func(holder string) bool { return byPods(holder) && holder != first })

	if code, said := y.slipway("uninstall", "--yes"); code == cli.ExitDone || !strings.Contains(said, "module uninstall delivery") {
		t.Fatal("Slipway is uninstalled while pods of their own deliver")
	}
	if code, _ := y.slipway("module", "uninstall", m.Name, "--yes"); code != cli.ExitDone {
		t.FailNow()
	}
	y.delivers(shop, "by the agent again", duty.ByAgent)
}

// byPods is whether who serves delivery is a pod of the package's Deployment.
func byPods(holder string) bool { return strings.HasPrefix(holder, "slipway-delivery-") }

// deliveryModule publishes the package of delivery with the agent's image, and has the agent install it.
func (y *yard) deliveryModule(repo *gitserver.Repo) *v1alpha1.Module {
	y.t.Helper()
	const folder = "../../deploy/packages/delivery"
	files := map[string]string{}
	grant := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: "delivery"}, Spec: v1alpha1.ModuleGrantSpec{Modules: []string{"delivery"}, Namespaces: []string{deploy.Namespace}}}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path.Join(folder, name))
		files[name] = strings.ReplaceAll(string(text), deploy.Image+":dev", y.builds["one"])
		for document := range strings.SplitSeq(string(text), "\n---") {
			var role rbacv1.ClusterRole
			if yaml.Unmarshal([]byte(document), &role) != nil {
				continue
			}
			switch role.Kind {
			case "ClusterRole":
				grant.Spec.ClusterRules = role.Rules
			case "Role":
				grant.Spec.Rules = role.Rules
			}
		}
		return err
	})
	if err != nil {
		y.t.Fatal(err)
	}
	head, err := repo.Commit(y.t.Context(), files, "0.1.0")
	if err == nil {
		err = repo.Tag(y.t.Context(), "v0.1.0", head, "")
	}
	if err != nil {
		y.t.Fatal(err)
	}
	m := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: "delivery"}, Spec: v1alpha1.ModuleSpec{
		Source: v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: repo.URL()}}, Version: "0.1.0", GrantRef: &v1alpha1.GrantReference{Name: grant.Name},
		Gate: &v1alpha1.Gate{Soak: &metav1.Duration{Duration: time.Second}, Deadline: &metav1.Duration{Duration: 10 * time.Minute}},
	}}
	for _, obj := range []client.Object{grant, m} {
		y.poll("create "+obj.GetName(), func(ctx context.Context) error { return y.Create(ctx, obj) }) // their kinds may be new
	}
	y.t.Cleanup(func() {
		if err := y.Delete(context.Background(), grant); err != nil {
			y.t.Error(err)
		}
	})
	return m
}

// shop has a repository delivered, by a service account that may do just that.
func (y *yard) shop(repo *gitserver.Repo) {
	y.t.Helper()
	meta := metav1.ObjectMeta{Namespace: y.real.Namespace, Name: "shop"}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: meta.Namespace, Name: meta.Name}},
		},
		&sourcev1.GitRepository{ObjectMeta: meta, Spec: sourcev1.GitRepositorySpec{
			URL: repo.URL(), Interval: metav1.Duration{Duration: 2 * time.Second}, Reference: &sourcev1.GitRepositoryRef{Branch: gitserver.DefaultBranch},
		}},
		&kustomizev1.Kustomization{ObjectMeta: meta, Spec: kustomizev1.KustomizationSpec{
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: meta.Name}, Interval: metav1.Duration{Duration: time.Hour},
			RetryInterval: &metav1.Duration{Duration: 2 * time.Second}, Prune: true, ServiceAccountName: meta.Name, TargetNamespace: meta.Namespace,
		}},
	} {
		y.poll("create "+obj.GetName(), func(ctx context.Context) error { return y.Create(ctx, obj) }) // their kinds may be new
	}
	y.t.Cleanup(func() {
		for _, obj := range []client.Object{&kustomizev1.Kustomization{ObjectMeta: meta}, &sourcev1.GitRepository{ObjectMeta: meta}} {
			if err := client.IgnoreNotFound(y.Delete(context.Background(), obj)); err != nil {
				y.t.Error(err)
			}
		}
	})
}

// delivers commits something, waits until it is in the cluster, and returns who serves delivery then: somebody who is as wanted.
func (y *yard) delivers(repo *gitserver.Repo, what string, is func(holder string) bool) (holder string) {
	y.t.Helper()
	began := time.Now()
	y.poll("delivery is served "+what, func(ctx context.Context) error {
		lease, err := y.real.Clientset(y.t).CoordinationV1().Leases(deploy.Namespace).Get(ctx, duty.LeaseName(v1alpha1.BuiltinDelivery), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if holder = ""; lease.Spec.HolderIdentity != nil {
			holder = *lease.Spec.HolderIdentity
		}
		if !is(holder) {
			return fmt.Errorf("it is by %q", holder)
		}
		return nil
	})
	y.tried++
	text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {try: %q}\n", fmt.Sprint(y.tried))
	if _, err := repo.Commit(y.t.Context(), map[string]string{"shop.yaml": text}, what); err != nil {
		y.t.Fatal(err)
	}
	y.poll("a commit is delivered "+what, func(ctx context.Context) error {
		got := &corev1.ConfigMap{}
		err := y.Get(ctx, client.ObjectKey{Namespace: y.real.Namespace, Name: "shop"}, got)
		if apierrors.IsNotFound(err) {
			return errors.New("there is nothing yet")
		}
		if err == nil && got.Data["try"] != fmt.Sprint(y.tried) {
			err = fmt.Errorf("it is the one before: %s", got.Data["try"])
		}
		return err
	})
	y.t.Logf("a commit is delivered %s after %s, by %s", what, time.Since(began).Round(time.Second), holder)
	return holder
}
