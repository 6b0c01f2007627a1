package e2e

import (
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// Givens is the part of a story that says how things are at first.
type Givens struct{ *Story }

func (s *Story) given() *Givens { return &Givens{s} }

// When goes on to what happens.
func (g *Givens) When() *Whens { return &Whens{g.Story} }

// Then goes on to what holds, where nothing needs to happen first.
func (g *Givens) Then() *Thens { return g.Story.then() }

// Repository makes a Git repository with one commit, and a GitRepository of
// that name that follows its main branch, looking every hour: stories call it
// when they commit, as a webhook would.
func (g *Givens) Repository(name string, files Files, opts ...func(*sourcev1.GitRepository)) *Givens {
	g.T.Helper()
	g.GitOnly(name, files)
	obj := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: sourcev1.GitRepositorySpec{
			URL:       g.repos[name].URL(),
			Reference: &sourcev1.GitRepositoryRef{Branch: gitserver.DefaultBranch},
			Interval:  metav1.Duration{Duration: time.Hour},
			Timeout:   &metav1.Duration{Duration: 30 * time.Second},
		},
	}
	for _, opt := range opts {
		opt(obj)
	}
	return g.Object(obj)
}

// GitOnly makes a Git repository with one commit that nothing in the cluster
// knows of yet.
func (g *Givens) GitOnly(name string, files Files) *Givens {
	g.T.Helper()
	repo, err := g.Git.Repo(g.T.Context(), name)
	if err != nil {
		g.T.Fatalf("make repository: %v", err)
	}
	g.repos[name], g.last = repo, name
	if g.heads[name], err = repo.Commit(g.T.Context(), files, "first"); err != nil {
		g.T.Fatalf("commit: %v", err)
	}
	return g
}

// Kustomization makes one that applies the whole of the repository that was
// named last, with pruning.
func (g *Givens) Kustomization(name string, opts ...func(*kustomizev1.Kustomization)) *Givens {
	g.T.Helper()
	return g.Object(newKustomization(g.last, name, opts...))
}

func newKustomization(repo, name string, opts ...func(*kustomizev1.Kustomization)) *kustomizev1.Kustomization {
	obj := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kustomizev1.KustomizationSpec{
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: repo},
			Interval:  metav1.Duration{Duration: time.Hour},
			Timeout:   &metav1.Duration{Duration: time.Minute},
			Prune:     true,
		},
	}
	for _, opt := range opts {
		opt(obj)
	}
	return obj
}

// Object creates any object, in the story's namespace when it names none and
// its kind has namespaces.
func (g *Givens) Object(obj client.Object) *Givens {
	g.T.Helper()
	g.create(obj)
	return g
}

func (s *Story) create(obj client.Object) {
	s.T.Helper()
	namespaced, err := s.Client.IsObjectNamespaced(obj)
	if err != nil {
		s.T.Fatalf("create %s: %v", obj.GetName(), err)
	}
	if namespaced && obj.GetNamespace() == "" {
		obj.SetNamespace(s.Namespace)
	}
	if err := s.Client.Create(s.T.Context(), obj); err != nil {
		s.T.Fatalf("create %s: %v", obj.GetName(), err)
	}
}

// Manifest creates an object from YAML.
func (g *Givens) Manifest(text string) *Givens {
	g.T.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096).Decode(&obj.Object); err != nil {
		g.T.Fatalf("manifest: %v", err)
	}
	return g.Object(obj)
}

// ConfigMap creates one.
func (g *Givens) ConfigMap(name string, data map[string]string) *Givens {
	g.T.Helper()
	return g.Object(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data})
}

// Secret creates one.
func (g *Givens) Secret(name string, data map[string]string) *Givens {
	g.T.Helper()
	return g.Object(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data})
}

// ServiceAccount creates one that may do verbs on resources (as "configmaps"
// or "deployments.apps") in the story's namespace, and nothing anywhere else.
func (g *Givens) ServiceAccount(name string, verbs []string, resources ...string) *Givens {
	g.T.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, r := range resources {
		resource, group, _ := strings.Cut(r, ".")
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs})
	}
	g.Object(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if len(role.Rules) == 0 {
		return g
	}
	g.Object(role).Object(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: g.Namespace}},
	})
	rule := role.Rules[0] // the others come with it
	g.Env.AwaitRights(g.T, "system:serviceaccount:"+g.Namespace+":"+name, authorizationv1.ResourceAttributes{
		Namespace: g.Namespace, Group: rule.APIGroups[0], Resource: rule.Resources[0], Verb: rule.Verbs[0],
	})
	return g
}

// Path applies a folder of the repository.
func Path(path string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.Path = path }
}

// Wait makes readiness depend on the health of everything that was applied,
// for at most timeout.
func Wait(timeout time.Duration) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Wait, k.Spec.Timeout = true, &metav1.Duration{Duration: timeout}
	}
}

// DependsOn makes a Kustomization wait for others.
func DependsOn(names ...string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		for _, n := range names {
			k.Spec.DependsOn = append(k.Spec.DependsOn, kustomizev1.DependencyReference{Name: n})
		}
	}
}

// As applies as a service account.
func As(account string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Spec.ServiceAccountName = account }
}

// With changes whatever else is to be changed of a Kustomization.
func With(change func(*kustomizev1.KustomizationSpec)) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { change(&k.Spec) }
}

// Credentials makes a GitRepository use a Secret.
func Credentials(secret string) func(*sourcev1.GitRepository) {
	return func(r *sourcev1.GitRepository) { r.Spec.SecretRef = &meta.LocalObjectReference{Name: secret} }
}

// Ref makes a GitRepository follow something else than main.
func Ref(ref sourcev1.GitRepositoryRef) func(*sourcev1.GitRepository) {
	return func(r *sourcev1.GitRepository) { r.Spec.Reference = &ref }
}

// Every makes a GitRepository look at that interval.
func Every(interval time.Duration) func(*sourcev1.GitRepository) {
	return func(r *sourcev1.GitRepository) { r.Spec.Interval = metav1.Duration{Duration: interval} }
}
