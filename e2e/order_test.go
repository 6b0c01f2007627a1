package e2e_test

import (
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/e2e"
)

func TestDependenciesComeFirst(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{
		"base/broken.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: [not, a, map]\n",
		"app/app.yaml":     configMap("app", "k", "v"),
	}).
		Kustomization("app", inNamespace(g), e2e.Path("app"), e2e.DependsOn("base")).
		Kustomization("base", inNamespace(g), e2e.Path("base")).
		Then().
		Failed("kustomization/base", "").
		Failed("kustomization/app", "DependencyNotReady", "base").
		Absent("configmap/app").
		When().
		Change("shop", change("base/broken.yaml", configMap("base", "k", "v"))).
		Then().
		Ready("kustomization/base").
		Ready("kustomization/app").
		Has("configmap/app", e2e.Data("k", "v"))
}

func TestADependencyCycleIsReported(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("one", inNamespace(g), e2e.DependsOn("two")).
		Kustomization("two", inNamespace(g), e2e.DependsOn("one")).
		Then().
		Failed("kustomization/one", "DependencyNotReady", "two").
		Failed("kustomization/two", "DependencyNotReady", "one").
		Absent("configmap/a").
		When().
		Respec("two", e2e.With(func(s *kustomizev1.KustomizationSpec) { s.DependsOn = nil })).
		Then().
		Ready("kustomization/two").
		Ready("kustomization/one")
}

func TestAMissingDependencyIsNamed(t *testing.T) {
	g := e2e.Given(t)
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "k", "v")}).
		Kustomization("shop", inNamespace(g), e2e.DependsOn("nowhere")).
		Then().
		Failed("kustomization/shop", "DependencyNotReady", "nowhere")
}

func TestADefinitionAndItsObjectsInOneRepository(t *testing.T) {
	g := e2e.Given(t)
	// The group has the story's namespace in it: definitions aren't namespaced.
	group := g.Namespace + ".example.com"
	definition := `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.` + group + `}
spec:
  group: ` + group + `
  scope: Namespaced
  names: {kind: Boat, plural: boats, singular: boat, listKind: BoatList}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, properties: {length: {type: integer}}}
`
	boat := "apiVersion: " + group + "/v1\nkind: Boat\nmetadata: {name: tug}\nspec: {length: 30}\n"
	g.Repository("shop", e2e.Files{"a-boat.yaml": boat, "definition.yaml": definition, "c.yaml": configMap("c", "k", "v")}).
		Kustomization("shop", inNamespace(g)).
		Then().
		Ready("kustomization/shop").
		Has("boats."+group+"/tug", e2e.Field(30, "spec", "length")).
		When().
		Edit("boats."+group+"/tug", func(obj map[string]any) { obj["spec"].(map[string]any)["length"] = int64(99) }).
		Then().
		Within(soon).
		Has("boats."+group+"/tug", e2e.Field(30, "spec", "length"))
}

func TestANamespaceAndWhatIsInIt(t *testing.T) {
	g := e2e.Given(t)
	inner := g.Namespace + "-inner"
	inside := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: " + inner + "}\ndata: {k: v}\n"
	g.Repository("shop", e2e.Files{"a.yaml": inside, "z.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + inner + "}\n"}).
		Kustomization("shop").
		Then().
		Ready("kustomization/shop").
		Has("configmap/a/"+inner, e2e.Data("k", "v"))
}
