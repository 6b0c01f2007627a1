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

func askingOf(name, expr string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.DependsOn = []kustomizev1.DependencyReference{{Name: name, ReadyExpr: expr}}
	}
}

func labelled(version string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) { k.Labels = map[string]string{"app/version": version} }
}

// twoFolders commits a folder for each of two Kustomizations.
func twoFolders(w *world) string {
	w.Helper()
	return w.commit(map[string]string{"back/a.yaml": configMapFile("a", "1"), "front/b.yaml": configMapFile("b", "1")})
}

func TestReadyExprTakesThePlaceOfReadiness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := twoFolders(w)
	w.source()
	w.kustomization("back", in("./missing"), labelled("v1")) // never Ready
	front := w.kustomization("front", in("./front"), labelled("v2"),
		askingOf("back", "dep.metadata.labels['app/version'] == self.metadata.labels['app/version']"))
	if message := w.refused(front, meta.DependencyNotReadyReason); !strings.Contains(message, "readyExpr does not hold") {
		t.Errorf("the message must say that it is the expression: %q", message)
	}
	back := &kustomizev1.Kustomization{}
	back.Namespace, back.Name = w.Namespace, "back"
	until(w, back, "it failed", func() bool { return ready(back.Status.Conditions).Reason != "" })
	update(w, back, labelled("v2"))
	w.applied(front, revision) // at once, although its interval is an hour
}

func TestReadyExprWakesByTheLabelsOfWhoWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := twoFolders(w)
	w.source()
	w.kustomization("back", in("./back"), labelled("v2"))
	front := w.kustomization("front", in("./front"), labelled("v1"),
		askingOf("back", "dep.metadata.labels['app/version'] == self.metadata.labels['app/version']"))
	w.refused(front, meta.DependencyNotReadyReason)
	update(w, front, labelled("v2"))
	w.applied(front, revision)
}

func TestReadyExprSeesTheStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := twoFolders(w)
	w.source()
	front := w.kustomization("front", in("./front"),
		askingOf("back", "dep.status.inventory.entries.exists(e, e.id.endsWith('_a__ConfigMap'))"))
	w.refused(front, meta.DependencyNotReadyReason)
	w.kustomization("back", in("./back"))
	w.applied(front, revision)
}

func TestAdditiveReadyExprNeedsReadinessToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *agent.Options) { o.Kustomizations.AdditiveReadyExpr = true })
	revision := twoFolders(w)
	w.source()
	back := w.kustomization("back", in("./missing"))
	front := w.kustomization("front", in("./front"), askingOf("back", "true"))
	until(w, front, "it says what keeps its dependency", func() bool {
		c := ready(front.Status.Conditions)
		return c.Reason == meta.DependencyNotReadyReason && strings.Contains(c.Message, "is not ready: ") && strings.Contains(c.Message, "missing")
	})
	update(w, back, in("./back"))
	w.applied(front, revision)
}

func TestReadyExprThatIsWrongStalls(t *testing.T) {
	t.Parallel()
	endless := "true"
	for _, v := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		endless = "[0,1,2,3,4,5,6,7,8,9].all(" + v + ", " + endless + ")"
	}
	for name, tc := range map[string]struct{ expr, says string }{
		"does not compile": {"dep.status.(", "Syntax error"},
		"no truth value":   {"dep.metadata.name", "true or false"},
		"costs too much":   {endless, "make it look at less"}, // for its cost, or on a busy machine for its time
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			revision := twoFolders(w)
			w.source()
			w.kustomization("back", in("./back"))
			front := w.kustomization("front", in("./front"), askingOf("back", tc.expr))
			message := w.refused(front, meta.InvalidCELExpressionReason)
			if !strings.Contains(message, tc.says) || !strings.Contains(message, w.Namespace+"/back") {
				t.Errorf("the message must name the dependency and say %q: %q", tc.says, message)
			}
			if !apimeta.IsStatusConditionTrue(front.Status.Conditions, meta.StalledCondition) {
				t.Error("only a person can correct it: it must be Stalled")
			}
			update(w, front, askingOf("back", "has(dep.status.conditions)"))
			w.applied(front, revision)
		})
	}
}

// TestDependentSaysWhatHoldsItsDependencyUp follows the message of a chain to its root.
func TestDependentSaysWhatHoldsItsDependencyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit(map[string]string{
		"base/web.yaml": deploymentFile("web", "web:1"), "app/a.yaml": configMapFile("a", "1"), "last/b.yaml": configMapFile("b", "1"),
	})
	w.source()
	last := w.kustomization("last", in("./last"), dependingOn("app"))
	w.kustomization("app", in("./app"), dependingOn("base"))
	w.kustomization("base", in("./base"), waiting(10*time.Minute))
	until(w, last, "it names the object at the root", func() bool {
		message := ready(last.Status.Conditions).Message
		return strings.Contains(message, "/app' is not ready") && strings.Contains(message, "/base' is not ready") &&
			strings.Contains(message, "Deployment/"+w.Namespace+"/web")
	})
}
