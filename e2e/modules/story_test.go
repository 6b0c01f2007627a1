package modules

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/await"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/gitserver/gittest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
	"github.com/slipway-dev/slipway/internal/module/author"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	labtest.Main(m)
}

// patience is how long a step may take that pulls images and starts pods on a machine with other things to do.
const patience = 6 * time.Minute

// harbour is the cluster, and the agent on it, that all stories share.
type harbour struct {
	env    *labtest.Real
	client client.WithWatch
	pods   kubernetes.Interface
	agent  *e2e.Agent
}

// open starts an agent.
func open(t *testing.T) *harbour {
	t.Helper()
	env := labtest.Cluster(t)
	c := env.Client(t, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme)
	pods, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	// Who may use a grant is asked by the API server, as 'slipway install' has it ask.
	policy, binding, err := author.Policy()
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range []client.Object{policy, binding} {
		if err := c.Create(t.Context(), obj); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	agent := e2e.NewAgent(t, &env.Env, env.Kubeconfig, t.TempDir(), "--namespace", env.Namespace)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.Kill)
	return &harbour{env: env, client: c, pods: pods, agent: agent}
}

// story is one module on the cluster.
type story struct {
	*testing.T
	*harbour
	repo   *gitserver.Repo
	module *v1alpha1.Module
}

// tell begins a story, with a repository for the packages of one project.
func (h *harbour) tell(t *testing.T, project string) *story {
	t.Helper()
	_, repo := gittest.Start(t, project, gitserver.Options{})
	return &story{T: t, harbour: h, repo: repo}
}

// install creates the Module with the grant that its package needs, and takes both out again when the story is over.
func (s *story) install(name, version string, grant v1alpha1.ModuleGrantSpec) {
	s.Helper()
	g := &v1alpha1.ModuleGrant{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: grant}
	s.module = &v1alpha1.Module{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ModuleSpec{
		Source:    v1alpha1.PackageSource{Git: &v1alpha1.GitSource{URL: s.repo.URL()}},
		Version:   version,
		Interval:  &metav1.Duration{Duration: 10 * time.Second},
		GrantRef:  &v1alpha1.GrantReference{Name: name},
		Rollback:  v1alpha1.RollbackAutomatic,
		Uninstall: &v1alpha1.Uninstall{Definitions: v1alpha1.DeleteDefinitions},
	}}
	for _, obj := range []client.Object{g, s.module} {
		if err := s.client.Create(s.Context(), obj); err != nil {
			s.Fatal(err)
		}
	}
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if s.Failed() {
			s.explain()
		}
		if err := s.client.Delete(ctx, s.module); err != nil {
			s.Errorf("delete the module: %v", err)
		}
		if err := await.Object(ctx, s.client, s.key(), await.Gone); err != nil {
			s.explain()
			s.Errorf("%s isn't gone: %v", name, err)
			return
		}
		if err := s.client.Delete(ctx, g); err != nil {
			s.Errorf("delete the grant: %v", err)
		}
	})
}

// want changes the version that is wanted.
func (s *story) want(version string) {
	s.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"version":%q}}`, version)
	if err := s.client.Patch(s.Context(), s.module, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		s.Fatal(err)
	}
}

// until waits for a state of the module, and returns when it was seen.
func (s *story) until(what string, is func(*v1alpha1.Module) bool) time.Time {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	err := await.Object(ctx, s.client, s.key(), func(obj *unstructured.Unstructured) string {
		var m v1alpha1.Module
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &m); err != nil {
			return err.Error()
		}
		s.module = &m
		if !is(&m) {
			return "not yet: " + what
		}
		return ""
	})
	if err != nil {
		s.Fatalf("waited %s until %s: %v", patience, what, err)
	}
	return time.Now()
}

// key names the module, for those who know no types.
func (s *story) key() *unstructured.Unstructured {
	key := &unstructured.Unstructured{}
	key.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.ModuleKind))
	key.SetName(s.module.Name)
	return key
}

func (s *story) installed(version string) {
	s.Helper()
	s.until(version+" is installed", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == v1alpha1.PhaseInstalled && m.Status.Current != nil && m.Status.Current.Version == version && m.Status.ObservedGeneration == m.Generation
	})
}

// refused waits for a plan that a check forbids to begin, in these words.
func (s *story) refused(version, check string, words ...string) {
	s.Helper()
	said := ""
	s.until(version+" is refused by "+check, func(m *v1alpha1.Module) bool {
		said = ""
		if m.Status.Phase != v1alpha1.PhaseBlocked || m.Status.Target == nil || m.Status.Target.Version != version || m.Status.Plan == nil {
			return false
		}
		for _, p := range m.Status.Plan.Problems {
			if p.Check == check {
				said += p.Object + ": " + p.Message + "\n"
			}
		}
		return said != ""
	})
	s.Logf("%s refuses %s:\n%s", check, version, said)
	for _, word := range words {
		if !strings.Contains(said, word) {
			s.Errorf("%s must say %q", check, word)
		}
	}
}

// explain logs what there is to know of a module that isn't where it should be.
func (s *story) explain() {
	status, err := json.MarshalIndent(s.module.Status, "", " ")
	s.Logf("%s: %v\n%s", s.module.Name, err, status)
	var pods corev1.PodList
	if err := s.client.List(context.Background(), &pods, client.InNamespace(s.module.Name+"-system")); err == nil {
		for _, p := range pods.Items {
			s.Logf("pod %s: %s %v", p.Name, p.Status.Phase, p.Status.Conditions)
			said, err := s.pods.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{TailLines: new(int64(40))}).DoRaw(context.Background())
			s.Logf("%s\n%v", said, err)
		}
	}
	s.Logf("the agent's last words:\n%s", s.agent.Log(40))
}

// rulesOf are the rules of the ClusterRoles in a file of manifests.
func rulesOf(t *testing.T, content string) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, document := range documents(content) {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			rules = append(rules, role.Rules...)
		}
	}
	return rules
}
