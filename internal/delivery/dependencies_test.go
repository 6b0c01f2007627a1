package delivery_test

import (
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-dev/slipway/internal/agent"
)

func dependingOn(names ...string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		for _, name := range names {
			k.Spec.DependsOn = append(k.Spec.DependsOn, kustomizev1.DependencyReference{Name: name})
		}
	}
}

func TestDependentGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.commit(map[string]string{
		"base/web.yaml": deploymentFile("web", "web:1"), "app/a.yaml": configMapFile("a", "1"), "last/b.yaml": configMapFile("b", "1"),
	})
	w.source()
	last := w.kustomization("last", in("./last"), dependingOn("app"))
	app := w.kustomization("app", in("./app"), dependingOn("base"))
	message := w.refused(app, meta.DependencyNotReadyReason)
	if !strings.Contains(message, "base") || !strings.Contains(message, "not found") {
		t.Errorf("the message must name what is missing: %q", message)
	}
	base := w.kustomization("base", in("./base"), waiting(10*time.Minute))
	until(w, app, "it waits for base to be ready", func() bool {
		return strings.Contains(ready(app.Status.Conditions).Message, "not ready")
	})
	w.rollOut("web")
	w.applied(base, revision)
	w.applied(app, revision)
	w.applied(last, revision)
}

func TestDependencyCycleIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	a := w.kustomization("a", dependingOn("b"))
	w.kustomization("b", dependingOn("a"))
	until(w, a, "the cycle is seen", func() bool { return apimeta.IsStatusConditionTrue(a.Status.Conditions, meta.StalledCondition) })
	if got := ready(a.Status.Conditions).Message; !strings.Contains(got, w.Namespace+"/a → "+w.Namespace+"/b → "+w.Namespace+"/a") {
		t.Errorf("the message must show the cycle: %q", got)
	}
	update(w, a, func(k *kustomizev1.Kustomization) { k.Spec.DependsOn = nil })
	until(w, a, "it is ready", func() bool { return apimeta.IsStatusConditionTrue(a.Status.Conditions, meta.ReadyCondition) })
}

func TestOtherNamespacesCanBeForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.NoCrossNamespaceRefs = true })
	w.commit(map[string]string{"a.yaml": configMapFile("a", "1")})
	w.source()
	source := w.kustomization("source", func(k *kustomizev1.Kustomization) { k.Spec.SourceRef.Namespace = "default" })
	w.refused(source, "AccessDenied")
	dependency := w.kustomization("dependency", func(k *kustomizev1.Kustomization) {
		k.Spec.DependsOn = []kustomizev1.DependencyReference{{Name: "any", Namespace: "default"}}
	})
	w.refused(dependency, "AccessDenied")
}
