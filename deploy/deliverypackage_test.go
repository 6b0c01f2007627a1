package deploy

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
	"github.com/slipway-dev/slipway/internal/module/supply"
	"github.com/slipway-dev/slipway/internal/source"
)

const (
	deliveryFolder = "packages/delivery"
	deliveryName   = "slipway-delivery"
	// brokenImage is one of which the pods of the test never become ready.
	brokenImage = "slipway.dev/slipway:broken"
)

// deliveryObjects are the objects of the package of delivery, as a module installs them.
func deliveryObjects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	store, err := source.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := pack.Open(t.Context(), store, os.DirFS(deliveryFolder))
	if err != nil {
		t.Fatal(err)
	}
	objs, err := p.Render(t.Context(), pack.Rendering{Namespace: Namespace, Name: v1alpha1.BuiltinDelivery})
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// TestRolesOfThePackage: the package of delivery may do nothing that the agent may not: who runs it adds no rights to a cluster. That they are
// enough is TestDeliveryIsAPackage's.
func TestRolesOfThePackage(t *testing.T) {
	ours, agents := deliveryObjects(t), render(t, Options{Overlay: "prod"})
	beyond(t, find[rbacv1.ClusterRole](t, agents, "ClusterRole", Agent).Rules, find[rbacv1.ClusterRole](t, ours, "ClusterRole", deliveryName).Rules)
	role := find[rbacv1.Role](t, ours, "Role", deliveryName)
	beyond(t, find[rbacv1.Role](t, agents, "Role", Agent).Rules, role.Rules)
	if role.Namespace != Namespace {
		t.Errorf("its role is in %s", role.Namespace)
	}
}

// beyond names what rules allow, and granted ones don't.
func beyond(t *testing.T, granted, rules []rbacv1.PolicyRule) {
	t.Helper()
	for _, r := range rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					if !slices.ContainsFunc(granted, func(g rbacv1.PolicyRule) bool {
						foreign := func(name string) bool { return !slices.Contains(g.ResourceNames, name) }
						named := len(g.ResourceNames) == 0 || len(r.ResourceNames) > 0 && !slices.ContainsFunc(r.ResourceNames, foreign)
						return named && slices.Contains(g.APIGroups, group) && slices.Contains(g.Resources, resource) && slices.Contains(g.Verbs, verb)
					}) {
						t.Errorf("the agent may not %s %s of %q %v", verb, resource, group, r.ResourceNames)
					}
				}
			}
		}
	}
}

// TestDeliveryPodsAreRestricted: and so wherever the agent's are admitted.
func TestDeliveryPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := find[appsv1.Deployment](t, deliveryObjects(t), "Deployment", deliveryName).Spec.Template
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec))
	if !result.Allowed {
		t.Error(result.ForbiddenDetail())
	}
	if root := pod.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem; root == nil || !*root {
		t.Error("the root file system can be written")
	}
}

// releases are a Git repository with versions of the package of delivery.
type releases struct {
	*testing.T
	repo *gitserver.Repo
}

// publish tags a version whose pods run an image.
func (r *releases) publish(version, image string) {
	r.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(deliveryFolder), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(deliveryFolder, path))
		files["delivery/"+path] = strings.NewReplacer("version: 0.1.0", "version: "+version, "image: slipway.dev/slipway:dev", "image: "+image).Replace(string(text))
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	head, err := r.repo.Commit(r.Context(), files, version)
	if err == nil {
		err = r.repo.Tag(r.Context(), "v"+version, head, "")
	}
	if err != nil {
		r.Fatal(err)
	}
}

// kubelet plays the controller of the package's Deployment until the test ends, and runs delivery while there is one, with the token of its
// service account. Pods of the broken image never get ready.
func kubelet(t *testing.T, env *labtest.Env, c client.Client) (complaints func() []string) {
	t.Helper()
	var mu sync.Mutex
	var said []string
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	stop := func() {}
	look := func(ctx context.Context) {
		d := &appsv1.Deployment{}
		err := c.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: deliveryName}, d)
		if apierrors.IsNotFound(err) {
			stop()
			stop = func() {}
			return
		}
		if err != nil || d.Status.ObservedGeneration == d.Generation {
			return
		}
		n := *d.Spec.Replicas
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n}
		if d.Spec.Template.Spec.Containers[0].Image != brokenImage {
			d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = n, n, n
			d.Status.Conditions = []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			}
		}
		if err := c.Status().Update(ctx, d); err != nil {
			return // it is looked at again
		}
		stop()
		stop = serve(t, tokenOf(t, env, deliveryName), func(line string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, line)
		})
	}
	go func() {
		defer close(ended)
		_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) { look(ctx); return false, nil })
		stop()
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(said)
	}
}

// serve runs delivery as the package's container does, until it is stopped.
func serve(t *testing.T, config *rest.Config, complain func(string)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- agent.Run(ctx, config, agent.Options{
			DataDir: t.TempDir(), Serve: v1alpha1.BuiltinDelivery, LeaderElect: true, LeaseNamespace: Namespace, ReceiverAddress: "127.0.0.1:0",
			Log: listening(complain),
		})
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("delivery ended: %v", err)
		}
	}
}

// TestDeliveryIsAPackage: delivery is installed as any package is, from deploy/packages/delivery, and serves with no more rights than the package
// has; a version that doesn't work is taken back, and delivery goes on; without the module the agent serves again.
func TestDeliveryIsAPackage(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := clientOfOurKinds(t, env)
	applyRoles(t, env, c)
	for _, obj := range render(t, Options{Overlay: "dev", Components: []string{AnyModule}}) {
		if obj.GetName() == AnyModuleRole {
			if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("test"), client.ForceOwnership); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { // other tests begin without it
				role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: AnyModuleRole}}
				if err := c.Delete(context.WithoutCancel(t.Context()), role); err != nil {
					t.Error(err)
				}
				aggregate(t, c)
			})
		}
	}
	aggregate(t, c)
	tenant(t, env, c, env.Namespace)
	runAgent(t, tokenOf(t, env, Agent))
	complaints := kubelet(t, env, c)
	holder := func() string {
		lease, err := env.Clientset(t).CoordinationV1().Leases(Namespace).Get(t.Context(), duty.LeaseName(v1alpha1.BuiltinDelivery), metav1.GetOptions{})
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		if err != nil || lease.Spec.HolderIdentity == nil {
			return ""
		}
		return *lease.Spec.HolderIdentity
	}
	served := func(what string, is func(holder string) bool) {
		t.Helper()
		poll(t, what, func(context.Context) (bool, string) { h := holder(); return h != "" && is(h), "by " + h })
	}
	served("the agent serves delivery", duty.ByAgent)

	_, packages := gittest.Start(t, "releases", gitserver.Options{})
	from := &releases{T: t, repo: packages}
	from.publish("0.1.0", "slipway.dev/slipway:dev")
	ours := deliveryObjects(t)
	grant := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: "delivery"}, Spec: v1alpha1.ModuleGrantSpec{
		Modules: []string{"delivery"}, Namespaces: []string{Namespace},
		ClusterRules: find[rbacv1.ClusterRole](t, ours, "ClusterRole", deliveryName).Rules, Rules: find[rbacv1.Role](t, ours, "Role", deliveryName).Rules,
	}}
	m := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: "delivery"}, Spec: v1alpha1.ModuleSpec{
		Source:  v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: from.repo.URL(), Path: "delivery"}},
		Version: "0.1.0", Gate: &v1alpha1.Gate{Soak: &metav1.Duration{Duration: time.Second}, Deadline: &metav1.Duration{Duration: 10 * time.Minute}},
		Interval: &metav1.Duration{Duration: 10 * time.Second}, GrantRef: &v1alpha1.GrantReference{Name: grant.Name},
	}}
	for _, obj := range []client.Object{grant, m} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	moduleIs(t, c, "delivery is installed", m, func() bool { return m.Status.Phase == v1alpha1.PhaseInstalled && m.Status.Current.Version == "0.1.0" })
	others := func(h string) bool { return !duty.ByAgent(h) }
	served("the module serves delivery", others)

	repo := repository(t)
	commit(t, repo, "v1")
	deliver(t, c, env.Namespace, repo.URL())
	waitForSettings(t, c, env.Namespace, "v1")

	from.publish("0.2.0", brokenImage)
	merge(t, c, m, `{"spec":{"version":"0.2.0","gate":{"deadline":"10s"}}}`)
	moduleIs(t, c, "the upgrade is taken back", m, func() bool { return m.Status.Phase == v1alpha1.PhaseRolledBack && m.Status.Current.Version == "0.1.0" })
	served("the module serves delivery as before", others)

	if said := complaints(); len(said) > 0 { // its roles go before it has ended
		t.Errorf("delivery lacks permissions:\n%s", strings.Join(said, "\n"))
	}
	if err := c.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	poll(t, "the module is gone", func(ctx context.Context) (bool, string) {
		return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(m), m)), said(m)
	})
	served("the agent serves delivery again", duty.ByAgent)
	if err := c.Delete(t.Context(), grant); err != nil {
		t.Error(err)
	}
}

// TestDeliveryNeedsAnAgentThatYields: an agent from before there was a Lease would go on serving, so that its plan refuses the package. A build of
// which nobody knows how old it is has to be trusted.
func TestDeliveryNeedsAnAgentThatYields(t *testing.T) {
	env := labtest.ControlPlane(t)
	c := clientOfOurKinds(t, env)
	applyRoles(t, env, c)
	clients, err := kube.NewClients(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := supply.New(supply.Settings{Reader: c, Namespace: Namespace, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(packages.Close)
	_, repo := gittest.Start(t, "releases", gitserver.Options{})
	from := &releases{T: t, repo: repo}
	from.publish("0.1.0", "slipway.dev/slipway:dev")
	m := &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: "delivery"}, Spec: v1alpha1.ModuleSpec{
		Source: v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: repo.URL(), Path: "delivery"}}, Version: "0.1.0",
	}}
	for version, refused := range map[string]bool{"v0.0.9": true, "v0.1.0-rc.1": false, "v0.1.0": false, "v1.2.3": false, "": false, "v0.0.0-20261122033314-848781600000": false} {
		planner := plan.New(plan.Settings{
			Clients: clients, Client: c, Revisions: revision.NewStore(c, Namespace), Packages: packages, Agent: permit.Agent{Namespace: Namespace, Accounts: []string{Agent}}, Version: version,
		})
		p, err := planner.Plan(t.Context(), m, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(p.Problems, func(p v1alpha1.PlanProblem) bool { return strings.Contains(p.Message, "works with Slipway >=0.1") }); got != refused {
			t.Errorf("an agent %q: refused is %t, want %t: %v", version, got, refused, p.Problems)
		}
	}
}

// listening is a log of which only complaints about permissions are told.
func listening(complain func(string)) logr.Logger {
	return funcr.New(func(prefix, args string) {
		if strings.Contains(strings.ToLower(args), "forbidden") {
			complain(prefix + " " + args)
		}
	}, funcr.Options{})
}

// TestDeliveryHasTheAgentsSettings: as both are shipped they serve on the same terms, or the package wouldn't serve where nobody has set anything.
func TestDeliveryHasTheAgentsSettings(t *testing.T) {
	flags := func(c corev1.Container, settings map[string]string) map[string]string {
		out := map[string]string{}
		for _, arg := range c.Args {
			name, value, _ := strings.Cut(arg, "=")
			for key, set := range settings {
				value = strings.ReplaceAll(value, "$("+key+")", set)
			}
			out[name] = value
		}
		return out
	}
	ours := flags(find[appsv1.Deployment](t, deliveryObjects(t), "Deployment", deliveryName).Spec.Template.Spec.Containers[0], nil)
	agents := render(t, Options{Overlay: "prod"})
	set := find[appsv1.StatefulSet](t, agents, "StatefulSet", Agent).Spec.Template.Spec.Containers[0]
	theirs := flags(set, find[corev1.ConfigMap](t, agents, "ConfigMap", set.EnvFrom[0].ConfigMapRef.Name).Data)
	for _, name := range []string{
		"--watch-all-namespaces", "--default-service-account", "--allow-agent-identity", "--no-cross-namespace-refs", "--watch-label-selector", "--flux-namespace",
		"--additive-ready-expr", "--allow-file-urls",
	} {
		if ours[name] != theirs[name] {
			t.Errorf("%s is %q here, and %q in the agent", name, ours[name], theirs[name])
		}
	}
}
