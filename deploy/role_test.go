package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

const patience = time.Minute

// TestRoleIsEnoughForTheAgent runs the real agent with a token of its service account and nothing but the installed roles, and lets it
// deliver as a tenant's service account.
func TestRoleIsEnoughForTheAgent(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := clientOfOurKinds(t, env)
	applyRoles(t, env, c)
	tenant(t, env, c, env.Namespace)
	complaints := runAgent(t, tokenOf(t, env, Agent))

	repo := repository(t)
	commit(t, repo, "v1")
	deliver(t, c, env.Namespace, repo.URL())
	waitForSettings(t, c, env.Namespace, "v1")
	teachBoats(t, c)

	// Drift is seen through the tenant's eyes.
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "settings"}}
	if err := c.Patch(t.Context(), settings, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"version":"by hand"}}`))); err != nil {
		t.Fatal(err)
	}
	waitForSettings(t, c, env.Namespace, "v1")

	// A Kustomization that goes takes what it brought along, which needs finalizers and deletes.
	shop := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "shop"}}
	if err := c.Delete(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	poll(t, "the Kustomization and what it brought are gone", func(ctx context.Context) (bool, string) {
		gone := apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(shop), shop)) &&
			apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(settings), settings))
		return gone, fmt.Sprintf("%v", shop.Status.Conditions)
	})
	var events corev1.EventList
	if err := c.List(t.Context(), &events, client.InNamespace(env.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(events.Items) == 0 {
		t.Error("no events: the agent couldn't write any")
	}
	if said := complaints(); len(said) > 0 {
		t.Errorf("the agent lacks permissions:\n%s", strings.Join(said, "\n"))
	}
}

// TestRoleIsNarrow: of Slipway's own kinds the agent may write what it does write, in the way in which it does. An object as a whole it may
// write nowhere: what people have said in its spec is theirs.
func TestRoleIsNarrow(t *testing.T) {
	may := map[string][]string{}
	for _, obj := range render(t, Options{Overlay: "dev"}) {
		if kind := obj.GetKind(); kind != "ClusterRole" && kind != "Role" || !strings.HasPrefix(obj.GetName(), Agent) {
			continue
		}
		var role rbacv1.ClusterRole // a Role has the same rules
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			if !slices.Contains(rule.APIGroups, v1alpha1.GroupVersion.Group) {
				continue
			}
			for _, resource := range rule.Resources {
				writes := slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool { return verb == "get" || verb == "list" || verb == "watch" })
				if len(writes) > 0 {
					may[resource] = append(may[resource], writes...)
					slices.Sort(may[resource])
				}
			}
		}
	}
	want := map[string][]string{
		"agentupgrades":            {"create", "delete", "patch"},
		"agentupgrades/status":     {"update"},
		"agentupgrades/finalizers": {"update"}, // the probe and the guard keep an attempt from being deleted first
		"interpreters/status":      {"patch"},
		"modules":                  {"patch"},
		"modules/status":           {"patch"},
		"modulerevisions":          {"create", "delete"},
		"modulerevisions/status":   {"patch"},
	}
	if diff := cmp.Diff(want, may); diff != "" {
		t.Errorf("writes that are allowed (-want +got):\n%s", diff)
	}
}

// teachBoats writes an Interpreter and waits until the agent has taken it into use.
func teachBoats(t *testing.T, c client.Client) {
	t.Helper()
	boats := &v1alpha1.Interpreter{ObjectMeta: metav1.ObjectMeta{Name: "boats"}, Spec: v1alpha1.InterpreterSpec{
		Target: v1alpha1.InterpreterTarget{Group: "example.org", Kind: "Boat"}, Health: []v1alpha1.HealthRule{{State: v1alpha1.HealthHealthy}},
	}}
	if err := c.Create(t.Context(), boats); err != nil {
		t.Fatal(err)
	}
	poll(t, "the Interpreter is in use", func(ctx context.Context) (bool, string) {
		err := c.Get(ctx, client.ObjectKeyFromObject(boats), boats)
		return apimeta.IsStatusConditionTrue(boats.Status.Conditions, v1alpha1.ReadyCondition), fmt.Sprint(err, boats.Status)
	})
}

func clientOfOurKinds(t *testing.T, env *labtest.Env) client.Client {
	t.Helper()
	return env.Client(t, apiextensionsv1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme, notificationv1.AddToScheme, v1alpha1.AddToScheme)
}

// applyRoles applies everything but the agent itself, which runs in the test.
func applyRoles(t *testing.T, env *labtest.Env, c client.Client) {
	t.Helper()
	var kinds []schema.GroupVersionKind
	for _, obj := range render(t, Options{Overlay: "dev"}) {
		if obj.GetKind() == "StatefulSet" {
			continue
		}
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
		if obj.GetKind() != "CustomResourceDefinition" {
			continue
		}
		poll(t, "CRD "+obj.GetName()+" is established", func(ctx context.Context) (bool, string) {
			var crd apiextensionsv1.CustomResourceDefinition
			err := c.Get(ctx, client.ObjectKey{Name: obj.GetName()}, &crd)
			for _, condition := range crd.Status.Conditions {
				if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
					kinds = append(kinds, schema.GroupVersionKind{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name, Kind: crd.Spec.Names.Kind})
					return true, ""
				}
			}
			return false, fmt.Sprint(err)
		})
	}
	env.AwaitKinds(t, kinds...)
	env.AwaitRights(t, agentUser(),
		authorizationv1.ResourceAttributes{Group: "source.toolkit.fluxcd.io", Resource: "gitrepositories", Verb: "list"},
		authorizationv1.ResourceAttributes{Namespace: Namespace, Group: "coordination.k8s.io", Resource: "leases", Verb: "create"})
}

// agentUser is who the agent is to the API server.
func agentUser() string { return "system:serviceaccount:" + Namespace + ":" + Agent }

// tenant makes the service account deployer, which may do anything to ConfigMaps of its namespace, and nothing else.
func tenant(t *testing.T, env *labtest.Env, c client.Client, namespace string) {
	t.Helper()
	name := metav1.ObjectMeta{Namespace: namespace, Name: "deployer"}
	for _, obj := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: name},
		&rbacv1.Role{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name.Name}},
		},
	} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	env.AwaitRights(t, "system:serviceaccount:"+namespace+":deployer", authorizationv1.ResourceAttributes{Namespace: namespace, Resource: "configmaps", Verb: "list"})
}

// tokenOf returns the configuration of a service account in the agent's namespace, as its pod would have it.
func tokenOf(t *testing.T, env *labtest.Env, name string) *rest.Config {
	t.Helper()
	token, err := env.Clientset(t).CoreV1().ServiceAccounts(Namespace).CreateToken(
		t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(env.Config)
	config.BearerToken = token.Status.Token
	return config
}

// runAgent runs the agent until the test ends. It returns what the agent complained about that has to do with permissions.
func runAgent(t *testing.T, config *rest.Config) (complaints func() []string) {
	t.Helper()
	var (
		mu   sync.Mutex
		said []string
		all  []string
	)
	log := funcr.New(func(prefix, args string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, prefix+" "+args)
		if strings.Contains(args, "forbidden") || strings.Contains(args, "Forbidden") {
			said = append(said, prefix+" "+args)
		}
	}, funcr.Options{})
	ctrl.SetLogger(log)
	ctx, stop := context.WithCancel(logr.NewContext(t.Context(), log))
	ended := make(chan error, 1)
	go func() {
		ended <- agent.Run(ctx, config, agent.Options{
			DataDir: t.TempDir(), LeaderElect: true, LeaseNamespace: Namespace, Slot: v1alpha1.SlotA, Log: log,
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			t.Logf("the agent's log:\n%s", strings.Join(all, "\n"))
		}
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), said...)
	}
}

func repository(t *testing.T) *gitserver.Repo {
	t.Helper()
	_, repo := gittest.Start(t, "shop", gitserver.Options{})
	return repo
}

func commit(t *testing.T, repo *gitserver.Repo, version string) {
	t.Helper()
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {version: " + version + "}\n"
	if _, err := repo.Commit(t.Context(), map[string]string{"deploy/settings.yaml": manifest}, version); err != nil {
		t.Fatal(err)
	}
}

func deliver(t *testing.T, c client.Client, namespace, url string) {
	t.Helper()
	name := metav1.ObjectMeta{Namespace: namespace, Name: "shop"}
	for _, obj := range []client.Object{
		&sourcev1.GitRepository{ObjectMeta: name, Spec: sourcev1.GitRepositorySpec{
			URL: url, Reference: &sourcev1.GitRepositoryRef{Branch: "main"}, Interval: metav1.Duration{Duration: time.Hour},
		}},
		&kustomizev1.Kustomization{ObjectMeta: name, Spec: kustomizev1.KustomizationSpec{
			Path: "./deploy", Prune: true, Interval: metav1.Duration{Duration: time.Hour},
			TargetNamespace: namespace, ServiceAccountName: "deployer",
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "shop"},
		}},
	} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

func waitForSettings(t *testing.T, c client.Client, namespace, version string) {
	t.Helper()
	poll(t, "what is in Git is in the cluster", func(ctx context.Context) (bool, string) {
		var settings corev1.ConfigMap
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "settings"}, &settings)
		if err == nil && settings.Data["version"] == version {
			return true, ""
		}
		return false, fmt.Sprintf("%v %v; %s", err, settings.Data, state(ctx, c, namespace))
	})
}

// state says what the controllers say.
func state(ctx context.Context, c client.Client, namespace string) string {
	var (
		repo sourcev1.GitRepository
		shop kustomizev1.Kustomization
		key  = client.ObjectKey{Namespace: namespace, Name: "shop"}
	)
	if err := errors.Join(c.Get(ctx, key, &repo), c.Get(ctx, key, &shop)); err != nil {
		return err.Error()
	}
	said := ""
	for _, conditions := range [][]metav1.Condition{repo.Status.Conditions, shop.Status.Conditions} {
		if ready := apimeta.FindStatusCondition(conditions, meta.ReadyCondition); ready != nil {
			said += ready.Reason + ": " + ready.Message + "; "
		}
	}
	return said
}

// poll asks until it is so. The API server is a process of its own; there is no clock to turn.
func poll(t *testing.T, what string, ask func(context.Context) (done bool, instead string)) {
	t.Helper()
	instead := ""
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (done bool, _ error) {
		done, instead = ask(ctx)
		return done, nil
	})
	if err != nil {
		t.Fatalf("wait until %s: %v; instead: %s", what, err, instead)
	}
}
