package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/gitserver"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// patience is how long a check watches when it isn't told otherwise. It is
// long because it costs nothing while things go well.
const patience = 90 * time.Second

// Files are what a commit writes: path → content.
type Files = map[string]string

// Story is what one test tells: its cluster, its namespace, its repositories.
type Story struct {
	T         *testing.T
	Env       *labtest.Env
	Namespace string
	Client    client.WithWatch
	Git       *gitserver.Server
	// Agent is the one that the story runs on.
	Agent *Agent

	repos map[string]*gitserver.Repo
	heads map[string]string    // repository → commit its main branch has
	uids  map[string]uidRecord // see Remember
	last  string               // repository that was named last
	acted time.Time            // when the latest action was done
	// printed is the output of the latest command.
	printed string
	// registry takes images, on clusters with a node.
	registry string
}

// Given begins a story on a control plane without nodes: everything works but
// running pods.
func Given(t *testing.T) *Givens {
	t.Helper()
	t.Parallel()
	env := labtest.ControlPlane(t)
	return newStory(t, env, shared.agent(t, env)).given()
}

// GivenOn begins a story on a cluster and an agent of the test's own.
func GivenOn(t *testing.T, env *labtest.Env, agent *Agent) *Givens {
	t.Helper()
	return newStory(t, env, agent).given()
}

func newStory(t *testing.T, env *labtest.Env, agent *Agent) *Story {
	t.Helper()
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatalf("make client: %v", err)
	}
	git, err := gitserver.Start(gitserver.Options{Dir: t.TempDir(), SSHListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatalf("start Git server: %v", err)
	}
	s := &Story{
		T: t, Env: env, Namespace: env.Namespace, Client: c, Git: git, Agent: agent, acted: time.Now(),
		repos: map[string]*gitserver.Repo{}, heads: map[string]string{}, uids: map[string]uidRecord{},
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.explain()
		}
		s.leave()
		if err := git.Close(); err != nil {
			t.Errorf("close Git server: %v", err)
		}
	})
	return s
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme, notificationv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatalf("make scheme: %v", err)
		}
	}
	return scheme
}

// leave takes the story's objects of our kinds out of the cluster, so
// that the agent has nothing of it to do any more.
func (s *Story) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, list := range ourKinds() {
		if err := s.Client.List(ctx, list, client.InNamespace(s.Namespace)); err != nil {
			s.T.Logf("clean up: %v", err)
			continue
		}
		for _, obj := range items(list) {
			if err := s.Client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
				s.T.Logf("clean up %s: %v", obj.GetName(), err)
			}
		}
	}
}

// ourKinds are lists of what Slipway serves, those that need others first.
func ourKinds() []client.ObjectList {
	return []client.ObjectList{
		&kustomizev1.KustomizationList{}, &notificationv1.ReceiverList{}, &sourcev1.GitRepositoryList{}, &sourcev1.OCIRepositoryList{},
		&sourcev1.BucketList{}, &sourcev1.ExternalArtifactList{},
	}
}

func items(list client.ObjectList) []client.Object {
	var found []client.Object
	_ = apimeta.EachListItem(list, func(item runtime.Object) error { // a list of ours has items
		if obj, ok := item.(client.Object); ok {
			found = append(found, obj)
		}
		return nil
	})
	return found
}

// name is an object as stories write it, "configmap/shop" or
// "boats.example.com/tug": what it is called in the cluster. A third part names another namespace than the story's:
// "configmap/shop/other".
type name struct {
	gvk       schema.GroupVersionKind
	namespace string
	name      string
}

func (s *Story) name(words string) name {
	s.T.Helper()
	parts := strings.Split(words, "/")
	if len(parts) < 2 || len(parts) > 3 {
		s.T.Fatalf("%q: write kind/name or kind/name/namespace", words)
	}
	n := name{name: parts[1], namespace: s.Namespace}
	if len(parts) == 3 {
		n.namespace = parts[2]
	}
	switch parts[0] {
	case "kustomization":
		n.gvk = kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind)
	case "gitrepository":
		n.gvk = sourcev1.GroupVersion.WithKind(sourcev1.GitRepositoryKind)
	default:
		gvk, err := s.Client.RESTMapper().KindFor(schema.ParseGroupResource(parts[0]).WithVersion(""))
		if err != nil {
			s.T.Fatalf("%q: %v", words, err)
		}
		n.gvk = gvk
	}
	return n
}

func (n name) String() string { return fmt.Sprintf("%s %s/%s", n.gvk.Kind, n.namespace, n.name) }

// root is the top of the repository.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "config", "crd")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no folder above has config/crd")
		}
		dir = parent
	}
}
