package attempt

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// TestCommitThatFails: past the point of no return nothing is taken back, whoever asks; once what failed is mended, a person has it finished.
func TestCommitThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer("1.0.0", first)
	w.offer("2.0.0", second)
	a := w.start(0)
	w.want("1.0.0")
	a.reach(lifecycle.Installed)
	w.launch("ark")
	w.pack.set(func(p *packages) {
		p.change = func(p *plan.Plan) { p.Gate.Deadline = &metav1.Duration{Duration: 10 * time.Second} }
	})
	a.wire.refusing(func(req *http.Request) bool {
		return req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "boats."+w.names.group()+"/status")
	})
	w.want("2.0.0")
	m := a.reachWhere("it commits", func(m *v1alpha1.Module) bool { return m.Status.Phase == lifecycle.Committing })
	digest := m.Status.Attempt.Target.Digest
	w.annotate(v1alpha1.RollbackAnnotation, digest)
	a.reachWhere("the rollback is refused", func(*v1alpha1.Module) bool { return w.heard("Warning RollbackRefused") })
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

	a = w.start(0)
	a.reach(lifecycle.Frozen)
	w.annotate(v1alpha1.RetryAnnotation, digest)
	w.isInstalled(a.reach(lifecycle.Installed), "2.0.0")
	w.is(second)
	w.afloat("ark")
	a.reachWhere("no annotation is left", func(m *v1alpha1.Module) bool { return len(m.Annotations) == 0 })
}
