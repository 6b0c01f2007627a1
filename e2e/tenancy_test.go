package e2e_test

import (
	"testing"

	"github.com/slipway-dev/slipway/e2e"
)

var all = []string{"*"}

func TestAServiceAccountWithoutRights(t *testing.T) {
	g := e2e.Given(t)
	g.ServiceAccount("deployer", all, "secrets").
		Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", inNamespace(g), e2e.As("deployer")).
		Then().
		Failed("kustomization/shop", "ReconciliationFailed", "deployer", "configmaps").
		Absent("configmap/a")
}

func TestAServiceAccountThatIsNotThere(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", inNamespace(g), e2e.As("nobody")).
		Then().
		Failed("kustomization/shop", "ReconciliationFailed", "nobody").
		Absent("configmap/a")
}

func TestATenantStaysInTheirNamespace(t *testing.T) {
	g := e2e.Given(t)
	other := g.Env.NewNamespace(t)
	g.ServiceAccount("deployer", all, "configmaps").
		Repository("shop", e2e.Files{
			"mine.yaml":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: " + g.Namespace + "}\n",
			"theirs.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs, namespace: " + other + "}\n",
		}).
		Kustomization("shop", e2e.As("deployer")).
		Then().
		Failed("kustomization/shop", "ReconciliationFailed", "deployer", other).
		Absent("configmap/theirs/" + other).
		Absent("configmap/mine")
}

func TestATenantWithRightsDeliversAndIsWatched(t *testing.T) {
	g := e2e.Given(t)
	g.ServiceAccount("deployer", all, "configmaps").
		Repository("shop", e2e.Files{"a.yaml": configMap("a", "is", "red"), "b.yaml": configMap("b", "is", "red")}).
		Kustomization("shop", inNamespace(g), e2e.As("deployer")).
		Then().
		Ready("kustomization/shop").
		When().
		Patch("configmap/a", `{"data":{"is":"green"}}`).
		Then().
		Within(soon).
		Has("configmap/a", e2e.Data("is", "red")).
		When().
		Remove("shop", "b.yaml").
		Then().
		Ready("kustomization/shop").
		Gone("configmap/b")
}
