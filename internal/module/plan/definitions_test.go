package plan_test

import (
	"context"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/module/plan"
)

// versions is a definition of kind Boat with these versions, of which the first is stored. A version with a minus isn't served.
func versions(group string, names ...string) string {
	text := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats." + group + "}\n" +
		"spec:\n  group: " + group + "\n  scope: Namespaced\n  names: {kind: Boat, listKind: BoatList, plural: boats, singular: boat}\n  versions:\n"
	for i, name := range names {
		stored, served := "false", "true"
		if i == 0 {
			stored = "true"
		}
		if strings.HasPrefix(name, "-") {
			name, served = name[1:], "false"
		}
		text += "  - {name: " + name + ", served: " + served + ", storage: " + stored +
			", schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {sails: {type: integer}}}}}}}\n"
	}
	return strings.TrimSuffix(text, "\n")
}

// TestDefinitions: what an upgrade does to objects that exist, found in a cluster that has some.
func TestDefinitions(t *testing.T) {
	w := newWorld(t)
	w.grant(`{namespaces: [NS], clusterObjects: [{group: apiextensions.k8s.io, kind: CustomResourceDefinition}]}`)
	group := w.name + ".example"
	w.put("1.0.0", versions(group, "v1beta1", "v1"))
	m := w.module()
	first := w.plan(m)
	wantProblems(t, first, "a new definition")
	w.install(m, first)
	w.eventuallyServed("boats." + group)
	w.clients.Invalidate()

	w.put("1.1.0", versions(group, "v1", "v1beta1"))
	p := w.plan(m)
	wantProblems(t, p, "the stored version moves in two steps")
	if !p.Reversible || len(p.Definitions["boats."+group]) == 0 {
		t.Errorf("reversible %t %v, findings %v: want it to be told, and to be reversible", p.Reversible, p.Irreversible, p.Definitions)
	}

	w.put("2.0.0", versions(group, "v1"))
	wantProblems(t, w.plan(m), "nobody uses the version that goes")

	w.make("apiVersion: " + group + "/v1beta1\nkind: Boat\nmetadata: {name: old, namespace: " + w.env.Namespace + "}\nspec: {sails: 1}")
	wantProblems(t, w.plan(m), "somebody writes in the version that goes", "Definitions CustomResourceDefinition/boats."+group+": v1beta1: the version is no longer served, but used by 1 objects (the first is "+w.env.Namespace+"/old)")

	w.put("3.0.0", strings.ReplaceAll(versions(group, "v1", "v1beta1"), "sails: {type: integer}", "sails: {type: string}"))
	if p := w.plan(m); p.Good() || p.Reversible {
		t.Errorf("a type that changes gives\n%s\nreversible %t, want problems, and no way back", problems(p), p.Reversible)
	}
	w.put("4.0.0", settings)
	if p := w.plan(m); !strings.Contains(problems(p), "the package no longer has the definition") || p.Reversible {
		t.Errorf("a definition that goes with objects gives\n%s\nreversible %t", problems(p), p.Reversible)
	}
	w.put("5.0.0", versions(group, "v1", "v1beta1"), func(p *plan.Package) {
		p.Reversible = func(string) (bool, string) { return false, "it stores data that 1.0.0 can't read" }
	})
	if p := w.plan(m); p.Reversible || p.Declared || len(p.Irreversible) != 1 {
		t.Errorf("what the author declares not to be reversible is %t, %v", p.Reversible, p.Irreversible)
	}
	w.put("6.0.0", strings.Replace(versions(group, "v1"), "scope: Namespaced", "scope: Both", 1))
	if p := w.plan(m); p.Good() {
		t.Error("a definition that is none passes")
	}
}

func (w *world) eventuallyServed(name string) {
	w.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	w.eventually("CRD "+name+" is established", func(ctx context.Context) bool {
		if err := w.client.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
			return false
		}
		for _, c := range crd.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true
			}
		}
		return false
	})
	for _, v := range crd.Spec.Versions {
		if v.Served {
			w.env.AwaitKinds(w, schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind})
		}
	}
}
