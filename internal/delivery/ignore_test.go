package delivery_test

import (
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	appsv1 "k8s.io/api/apps/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
)

func ignoringReplicas(path string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Ignore = []kustomizev1.IgnoreRule{{Paths: []string{path}, Target: &kustomize.Selector{Kind: "Deployment"}}}
	}
}

// TestIgnoredFieldBelongsToOthers has an autoscaler and a source that both say how many replicas there are.
func TestIgnoredFieldBelongsToOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"web.yaml": replicated("web", "web:1", "3")})
	w.source()
	ks := w.kustomization("shop", ignoringReplicas("/spec/replicas"))
	w.applied(ks, first)

	web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.Namespace}}
	scale := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":7}}`))
	if err := w.client.Patch(t.Context(), web, scale, client.FieldOwner("autoscaler")); err != nil {
		t.Fatal(err)
	}
	second := w.commit(map[string]string{"web.yaml": replicated("web", "web:2", "4")})
	w.fetch()
	w.applied(ks, second)
	until(w, web, "it is the new image", func() bool { return web.Spec.Template.Spec.Containers[0].Image == "web:2" })
	if *web.Spec.Replicas != 7 {
		t.Errorf("%d replicas: the autoscaler wrote 7, and the field is ignored", *web.Spec.Replicas)
	}

	update(w, ks, func(k *kustomizev1.Kustomization) { k.Spec.Ignore = nil })
	until(w, web, "without the rule the source decides", func() bool { return *web.Spec.Replicas == 4 })
}

func TestIgnoreRuleThatNobodyCanReadStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.commit(map[string]string{"web.yaml": replicated("web", "web:1", "3")})
	w.source()
	ks := w.kustomization("shop", ignoringReplicas("spec.replicas"))
	if message := w.refused(ks, "InvalidIgnoreRule"); !strings.Contains(message, "spec.ignore[0]") || !strings.Contains(message, "JSON pointer") {
		t.Errorf("the message must name the rule and what is wrong with it: %q", message)
	}
	if !apimeta.IsStatusConditionTrue(ks.Status.Conditions, meta.StalledCondition) {
		t.Error("only a person can correct it: it must be Stalled")
	}
	update(w, ks, ignoringReplicas("/spec/replicas"))
	w.applied(ks, first)
}

// replicated is deploymentFile with so many replicas.
func replicated(name, image, replicas string) string {
	return strings.Replace(deploymentFile(name, image), "spec:\n", "spec:\n  replicas: "+replicas+"\n", 1)
}
