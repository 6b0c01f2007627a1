package attempt

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// TestRefusedIsTakenBack: what the API server refuses, and would again, isn't tried until the deadline.
func TestRefusedIsTakenBack(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", second)
	a.wire.refusing(func(req *http.Request) bool {
		return req.Method == http.MethodPatch && strings.HasSuffix(req.URL.Path, "/deployments/boats") && req.URL.Query().Get("dryRun") == ""
	})
	w.want("2.0.0")
	m := a.reach(lifecycle.RolledBack)
	w.isTakenBack(m, "1.0.0")
	w.is(first)
	if r := m.Status.Rejected[0]; r.Reason != reasonRefused || !strings.Contains(r.Message, "Deployment/"+w.env.Namespace+"/boats") {
		t.Errorf("it doesn't say what was refused: %+v", r)
	}
}

// TestRevisionThatIsLost: without what a revision holds there is neither forward nor back, and that is said.
func TestRevisionThatIsLost(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.offer("2.0.0", laggard)
	w.want("2.0.0")
	a.reachWhere("it waits", func(m *v1alpha1.Module) bool {
		return m.Status.Phase == lifecycle.Applying && m.Status.Attempt.Step != ""
	})
	a.stop()
	if err := w.client.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(w.env.Namespace), client.HasLabels{revision.LabelContent}); err != nil {
		t.Fatal(err)
	}
	a = w.start()
	m := a.reach(lifecycle.Frozen)
	if f := m.Status.Attempt.Failure; f == nil || f.Reason != reasonStorage || !strings.Contains(f.Message, "was deleted") {
		t.Errorf("it failed for %+v", f)
	}
}
