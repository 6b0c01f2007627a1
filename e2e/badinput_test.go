package e2e_test

import (
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/e2e"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// Whatever is wrong in a commit, three things hold: what ran before goes on
// untouched, a condition says what to do, and a good commit puts it right.
func TestABadCommitTakesNothingDown(t *testing.T) {
	bad := map[string]struct {
		reason string
		change gitserver.Change
		why    string
		words  []string
	}{
		"BrokenYAML": {
			reason: "a manifest that isn't YAML",
			change: gitserver.Change{Files: e2e.Files{"bad.yaml": "kind: ConfigMap\n  name: [oops\n"}},
			why:    "BuildFailed", words: []string{"bad.yaml"},
		},
		"NoKind": {
			reason: "YAML that isn't a Kubernetes object",
			change: gitserver.Change{Files: e2e.Files{"bad.yaml": "hello: world\n"}},
			why:    "BuildFailed", words: []string{"bad.yaml"},
		},
		"UnknownField": {
			reason: "a field that the kind doesn't have",
			change: gitserver.Change{Files: e2e.Files{"bad.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndatas: {k: v}\n"}},
			why:    "ReconciliationFailed", words: []string{"bad", "datas"},
		},
		"WrongType": {
			reason: "a value that the API server refuses",
			change: gitserver.Change{Files: e2e.Files{"bad.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n"}},
			why:    "ReconciliationFailed", words: []string{"Service", "bad", "99999"},
		},
		"UnknownKind": {
			reason: "an object whose definition isn't there yet",
			change: gitserver.Change{Files: e2e.Files{"bad.yaml": "apiVersion: nowhere.example.com/v1\nkind: Ghost\nmetadata: {name: bad}\n"}},
			why:    "ReconciliationFailed", words: []string{"Ghost", "nowhere.example.com"},
		},
		"NoNamespace": {
			reason: "an object in a namespace that doesn't exist",
			change: gitserver.Change{Files: e2e.Files{"kustomization.yaml": kustomize("good.yaml") + "namespace: nowhere-to-be-found\n"}},
			why:    "ReconciliationFailed", words: []string{"nowhere-to-be-found"},
		},
		"MissingResource": {
			reason: "a kustomization.yaml that names a file which isn't there",
			change: gitserver.Change{Files: e2e.Files{"kustomization.yaml": kustomize("good.yaml", "absent.yaml")}},
			why:    "BuildFailed", words: []string{"absent.yaml"},
		},
		"SymlinkOut": {
			reason: "a link that leads out of the repository",
			change: gitserver.Change{
				Files:    e2e.Files{"kustomization.yaml": kustomize("good.yaml", "out.yaml")},
				Symlinks: map[string]string{"out.yaml": "../../../../../../../../etc/hostname"},
			},
			why: "BuildFailed", words: []string{"out.yaml"},
		},
		"OutsideBase": {
			reason: "a base above the repository",
			change: gitserver.Change{Files: e2e.Files{"kustomization.yaml": kustomize("../../../../../../etc")}},
			why:    "BuildFailed",
		},
	}
	for name, tc := range bad {
		t.Run(name, func(t *testing.T) {
			g := e2e.Given(t)
			target := inNamespace(g)
			if name == "NoNamespace" {
				target = func(*kustomizev1.Kustomization) {}
			}
			good := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good, namespace: " + g.Namespace + "}\ndata: {is: red}\n"
			tc.change.Message = tc.reason
			g.Repository("shop", e2e.Files{"good.yaml": good}).
				Kustomization("shop", target).
				Then().
				Ready("kustomization/shop").
				Remember("configmap/good").
				When().
				Change("shop", tc.change).
				Then().
				Failed("kustomization/shop", tc.why, tc.words...).
				Untouched("configmap/good").
				When().
				Change("shop", gitserver.Change{Message: "mend", Fresh: true, Files: e2e.Files{"good.yaml": strings.Replace(good, "red", "blue", 1)}}).
				Then().
				Ready("kustomization/shop").
				Has("configmap/good", e2e.Data("is", "blue")).
				Same("configmap/good")
		})
	}
}

func TestAMissingPathIsNamed(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"deploy/a.yaml": configMap("a", "is", "red")}).
		Kustomization("shop", inNamespace(g), e2e.Path("./deploy")).
		Then().
		Ready("kustomization/shop").
		Remember("configmap/a").
		When().
		Change("shop", gitserver.Change{Message: "moved", Remove: []string{"deploy"}, Files: e2e.Files{"k8s/a.yaml": configMap("a", "is", "blue")}}).
		Then().
		Failed("kustomization/shop", "InvalidPath", "deploy").
		Untouched("configmap/a").
		When().
		Respec("shop", e2e.Path("./k8s")).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a", e2e.Data("is", "blue"))
}

func TestOneBadKustomizationLeavesTheOthersAlone(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a/a.yaml": "not: [yaml", "b/b.yaml": configMap("b", "is", "red")}).
		Kustomization("a", inNamespace(g), e2e.Path("a")).
		Kustomization("b", inNamespace(g), e2e.Path("b")).
		Then().
		Failed("kustomization/a", "BuildFailed").
		Ready("kustomization/b").
		When().
		Commit("shop", e2e.Files{"b/b.yaml": configMap("b", "is", "blue")}).
		Then().
		Ready("kustomization/b").
		Has("configmap/b", e2e.Data("is", "blue")).
		Failed("kustomization/a", "BuildFailed")
}

func TestImmutableFields(t *testing.T) {
	secret := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stone}\nimmutable: true\ndata: {is: " + value + "}\n"
	}
	t.Run("AreExplained", func(t *testing.T) {
		g := e2e.Given(t)
		g.Repository("shop", e2e.Files{"a.yaml": secret("red"), "b.yaml": configMap("b", "is", "red")}).
			Kustomization("shop", inNamespace(g)).
			Then().
			Ready("kustomization/shop").
			Remember("configmap/stone", "configmap/b").
			When().
			Commit("shop", e2e.Files{"a.yaml": secret("blue"), "b.yaml": configMap("b", "is", "blue")}).
			Then().
			Failed("kustomization/shop", "ReconciliationFailed", "stone", "immutable", "force").
			Untouched("configmap/stone", "configmap/b")
	})
	t.Run("AreForced", func(t *testing.T) {
		g := e2e.Given(t)
		g.Repository("shop", e2e.Files{"a.yaml": secret("red")}).
			Kustomization("shop", inNamespace(g), e2e.With(func(s *kustomizev1.KustomizationSpec) { s.Force = true })).
			Then().
			Ready("kustomization/shop").
			When().
			Commit("shop", e2e.Files{"a.yaml": secret("blue")}).
			Then().
			Ready("kustomization/shop").
			Has("configmap/stone", e2e.Data("is", "blue"))
	})
}

func TestANamespaceThatIsBeingDeleted(t *testing.T) {
	g := e2e.Given(t)
	// Nothing finishes the deletion here, so the namespace stays as it is.
	going := g.Env.NewNamespace(t)
	there := e2e.With(func(s *kustomizev1.KustomizationSpec) { s.TargetNamespace = going })
	g.Repository("shop", e2e.Files{"a/a.yaml": configMap("a", "k", "v"), "b/b.yaml": configMap("b", "k", "v")}).
		When().
		Delete("namespace/"+going).
		Kustomization("a", e2e.Path("a"), there).
		Kustomization("b", e2e.Path("b"), inNamespace(g)).
		Then().
		Failed("kustomization/a", "ReconciliationFailed", going).
		Ready("kustomization/b")
}

func TestAMissingSourceIsNamed(t *testing.T) {
	g := e2e.Given(t)
	g.GitOnly("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Failed("kustomization/shop", "ArtifactFailed", "shop")
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a", e2e.Data("k", "v"))
}
