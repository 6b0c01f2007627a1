package attempt

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestCommitThatFails: past the point of no return nothing is taken back, whoever asks; once what failed is mended, a person has it finished.
func TestCommitThatFails(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", second)
	w.launch("ark")
	w.plans(func(p *plan.Plan) { p.Gate.Deadline = &metav1.Duration{Duration: time.Hour} })
	a.wire.refusing(func(req *http.Request) bool {
		return req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "boats."+w.names.group()+"/status")
	})
	w.want("2.0.0")
	m := a.reachWhere("it commits", func(m *v1alpha1.Module) bool { return m.Status.Phase == lifecycle.Committing })
	digest := m.Status.Attempt.Target.Digest
	w.annotate(v1alpha1.RollbackAnnotation, digest)
	a.reachWhere("the rollback is refused", func(*v1alpha1.Module) bool { return w.heard("Warning RollbackRefused") })
	w.clock.pass(2 * time.Hour)
	m = a.reach(lifecycle.Frozen)
	if m.Status.Attempt.CommitBegan == nil || w.get(mapKind, "old") == nil {
		t.Errorf("it didn't stop in the middle of the commit: %+v", m.Status.Attempt)
	}
	if c := condition(m, v1alpha1.StalledCondition); !strings.Contains(c.Message, "there is only forward") || !strings.Contains(c.Message, v1alpha1.RetryAnnotation) {
		t.Errorf("Stalled is %+v", c)
	}
	w.annotate(v1alpha1.ForceAnnotation, digest)
	a.reach(lifecycle.Frozen)
	a.stop()

	a = w.start()
	a.reach(lifecycle.Frozen)
	w.annotate(v1alpha1.RetryAnnotation, digest)
	w.isInstalled(a.reach(lifecycle.Installed), "2.0.0")
	w.is(second)
	w.afloat("ark")
	a.reachWhere("no annotation is left", func(m *v1alpha1.Module) bool { return len(m.Annotations) == 0 })
}

// TestCommitKeepsWhatWasThere: a namespace that was there before the module, and that the new version hasn't any more, isn't deleted: it doesn't
// belong to the module any more. One that the module has made goes.
func TestCommitKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"it was there before": true, "the module has made it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := runningWithNamespace(t, before)
			w.offer("2.0.0", second)
			w.want("2.0.0")
			w.isInstalled(a.reach(lifecycle.Installed), "2.0.0")
			left := w.get(namespaceGVK, w.names.unique)
			stays := left != nil && left.GetDeletionTimestamp() == nil
			if stays != before {
				t.Errorf("the namespace is there: %t, want %t", stays, before)
			}
			if stays && left.GetLabels()[Group+"/name"] != "" {
				t.Error("it still belongs to the module")
			}
		})
	}
}

// TestCommitKeepsWhatAFrozenAttemptFound: what was there before an attempt that another one went over stays as long as the module lives, and after.
func TestCommitKeepsWhatAFrozenAttemptFound(t *testing.T) {
	t.Parallel()
	w, a := running(t, first, manual)
	w.namespace()
	with := func(b boats) func(names) []*unstructured.Unstructured {
		return func(n names) []*unstructured.Unstructured { return append(withNamespace(n)[:1], b.of(n)...) }
	}
	w.pack.set(func(p *packages) { p.versions["2.0.0"], p.versions["3.0.0"] = with(bad), with(second) })
	w.want("2.0.0", manual)
	a.reach(lifecycle.Frozen)
	w.want("3.0.0", func(m *v1alpha1.Module) { m.Spec.RevisionHistoryLimit = 1 })
	w.isInstalled(a.reach(lifecycle.Installed), "3.0.0")
	w.offer("4.0.0", first)
	w.want("4.0.0")
	w.isInstalled(a.reach(lifecycle.Installed), "4.0.0")
	if left := w.get(namespaceGVK, w.names.unique); left == nil || left.GetDeletionTimestamp() != nil {
		t.Error("the namespace is gone")
	}
}
