package e2e_test

import (
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/e2e"
)

func TestVariables(t *testing.T) {
	g := e2e.Given(t)
	vars := e2e.With(func(s *kustomizev1.KustomizationSpec) {
		s.PostBuild = &kustomizev1.PostBuild{
			Substitute: map[string]string{"own": "mine"},
			SubstituteFrom: []kustomizev1.SubstituteReference{
				{Kind: "ConfigMap", Name: "vars"},
				{Kind: "Secret", Name: "secret"},
				{Kind: "ConfigMap", Name: "absent", Optional: true},
			},
		}
	})
	text := configMap("a", "is", "${own} ${from} ${both} ${other:=default} $${kept}")
	g.ConfigMap("vars", map[string]string{"from": "configured", "both": "configured", "own": "overridden"}).
		Secret("secret", map[string]string{"both": "hidden"}).
		Repository("shop", e2e.Files{"a.yaml": text}).
		Kustomization("shop", inNamespace(g), vars).
		Then().
		Ready("kustomization/shop").
		Has("configmap/a", e2e.Data("is", "mine configured hidden default ${kept}")).
		When().
		Patch("configmap/vars", `{"data":{"from":"changed"}}`).
		Reconcile("kustomization/shop").
		Then().
		Has("configmap/a", e2e.Data("is", "mine changed hidden default ${kept}"))
}

func TestAMissingVariableSourceIsNamed(t *testing.T) {
	g := e2e.Given(t)
	vars := e2e.With(func(s *kustomizev1.KustomizationSpec) {
		s.PostBuild = &kustomizev1.PostBuild{SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "Secret", Name: "nowhere"}}}
	})
	g.Repository("shop", e2e.Files{"a.yaml": configMap("a", "is", "${x}")}).
		Kustomization("shop", inNamespace(g), vars).
		Then().
		Failed("kustomization/shop", "", "nowhere").
		Absent("configmap/a").
		When().
		Create(secret("nowhere", "x", "here")).
		Reconcile("kustomization/shop").
		Then().
		Ready("kustomization/shop").
		Has("configmap/a", e2e.Data("is", "here"))
}
