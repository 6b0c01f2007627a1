package agent_test

import (
	"context"
	"testing"

	"github.com/go-logr/logr/funcr"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// running is an agent that runs until the test ends.
func running(t *testing.T, cfg *rest.Config, opts agent.Options) *words {
	t.Helper()
	said := &words{}
	opts.Log = funcr.New(said.say, funcr.Options{})
	ctrl.SetLogger(opts.Log)
	opts.DataDir = t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, cfg, opts) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return said
}

func boats(group string) *v1alpha1.Interpreter {
	return &v1alpha1.Interpreter{
		ObjectMeta: metav1.ObjectMeta{Name: "boats." + group},
		Spec:       v1alpha1.InterpreterSpec{Target: v1alpha1.InterpreterTarget{Group: group, Kind: "Boat"}, Health: []v1alpha1.HealthRule{{State: v1alpha1.HealthHealthy}}},
	}
}

// An agent that delivers only what a selector and namespaces say takes all Interpreters into use all the same, and those of a kind that comes
// after it as soon as it is there.
func TestInterpretersAreForAllAgents(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml")
	selector, err := labels.Parse("team=a")
	if err != nil {
		t.Fatal(err)
	}
	said := running(t, env.Config, agent.Options{Namespaces: []string{env.Namespace}, Selector: selector})
	c := interpreterClient(t, env)
	env.Define(t, "slipway.dev_interpreters.yaml")
	obj := boats(env.Namespace + ".example.org")
	await(t, func() bool { return c.Create(t.Context(), obj) == nil }, func() string { return "the kind isn't served" })
	t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), obj) })
	await(t, func() bool {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatal(err)
		}
		return apimeta.IsStatusConditionTrue(obj.Status.Conditions, v1alpha1.ReadyCondition)
	}, func() string { return "the Interpreter isn't in use" })
	if said.have("Interpreters are not served") {
		t.Error("it says that it doesn't serve them")
	}
}

// An agent that mayn't read Interpreters does everything else.
func TestAgentWithoutRightsOnInterpreters(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml", "slipway.dev_interpreters.yaml")
	c := interpreterClient(t, env)
	name := "delivers-only-" + env.Namespace
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "", "coordination.k8s.io", "apiextensions.k8s.io"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
	}
	for _, obj := range []client.Object{role, binding} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), obj) })
	}
	env.AwaitRights(t, name, authorizationv1.ResourceAttributes{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Verb: "list"})
	said := running(t, env.User(name), agent.Options{Namespaces: []string{env.Namespace}})
	await(t, func() bool { return said.have("Interpreters are not served", "slipway install") }, func() string { return "it doesn't say that it doesn't serve them" })
	await(t, func() bool { return said.have("Starting workers", "gitrepository") }, func() string { return "it serves nothing else" })
}

func interpreterClient(t *testing.T, env *labtest.Env) client.Client {
	t.Helper()
	return env.Client(t, v1alpha1.AddToScheme)
}
