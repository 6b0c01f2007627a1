package attempt

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

// spoil changes the settings, as somebody who shouldn't.
func (w *world) spoil() {
	w.Helper()
	o := w.get(mapKind, "settings")
	if err := w.client.Patch(w.Context(), o, client.RawPatch("application/merge-patch+json", []byte(`{"data":{"image":"spoilt"}}`)), client.FieldOwner("somebody")); err != nil {
		w.Fatal(err)
	}
}

func (w *world) setting() string {
	w.Helper()
	o := w.get(mapKind, "settings")
	if o == nil {
		return ""
	}
	image, _, _ := unstructured.NestedString(o.Object, "data", "image")
	return image
}

// TestDriftIsCorrected: what somebody changes or deletes is put back; and what was changed while no agent ran, too.
func TestDriftIsCorrected(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)

	w.spoil()
	a.reachWhere("the settings are put back", func(*v1alpha1.Module) bool { return w.setting() == first.Image })
	if !w.heard("Normal DriftCorrected: ConfigMap/" + w.env.Namespace + "/settings was changed by somebody") {
		t.Errorf("nothing is told of it: %s", strings.Join(w.events(), "\n"))
	}
	if err := w.client.Delete(w.Context(), w.get(deploymentKind, "boats")); err != nil {
		t.Fatal(err)
	}
	a.reachWhere("the controller is back", func(*v1alpha1.Module) bool { return w.get(deploymentKind, "boats") != nil })
	a.stop()

	w.spoil()
	a = w.start()
	a.reachWhere("the settings are put back by the next agent", func(*v1alpha1.Module) bool { return w.setting() == first.Image })
	w.is(first)
}

// TestFailureAtRestIsTold: what is installed and fails isn't taken back, but told.
func TestFailureAtRestIsTold(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	d := w.get(deploymentKind, "boats")
	patch := `{"status":{"availableReplicas":0,"readyReplicas":0,"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"it sank"}]}}`
	if err := w.client.Status().Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	m := a.reachWhere("the failure is told", func(m *v1alpha1.Module) bool {
		return condition(m, v1alpha1.ReadyCondition).Reason == reasonUnhealthy
	})
	if m.Status.Phase != lifecycle.Installed || !strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "Deployment/"+w.env.Namespace+"/boats is Degraded") {
		t.Errorf("it is %s", describe(m))
	}
	if !w.heard("Warning Unhealthy") {
		t.Errorf("no event: %v", w.events())
	}
}

// TestContestIsCalm: what somebody keeps changing isn't put back at once each time: nobody wins such a fight, and the API server pays for it.
func TestContestIsCalm(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	w.clock.stop()
	for range 2 {
		w.spoil()
		a.reachWhere("it is put back", func(*v1alpha1.Module) bool { return w.setting() == first.Image })
	}
	w.spoil()
	a.reachWhere("it is told that somebody keeps changing it", func(m *v1alpha1.Module) bool {
		c := condition(m, v1alpha1.ReadyCondition)
		return c.Reason == reasonDrifted && strings.Contains(c.Message, "changed by somebody again and again") && w.setting() == "spoilt"
	})
	w.clock.goOn()
	a.reachWhere("it is put back later", func(*v1alpha1.Module) bool { return w.setting() == first.Image })
}

// isSettings picks requests for the settings.
func isSettings(req *http.Request) bool {
	return strings.HasSuffix(req.URL.Path, "/configmaps/settings")
}

// TestFailureToPutBackIsCalm: while what differs can't be put back, it is told, and tried again more and more seldom, however often the module is
// looked at.
func TestFailureToPutBackIsCalm(t *testing.T) {
	t.Parallel()
	for name, restarted := range map[string]bool{"found by watching": false, "found by the next agent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := running(t, first)
			if restarted {
				a.stop()
				a = w.start()
			}
			var asked atomic.Int32
			a.wire.answering(http.StatusServiceUnavailable, func(req *http.Request) bool {
				if isSettings(req) {
					asked.Add(1)
				}
				return isSettings(req) && req.Method == http.MethodPatch
			})
			w.clock.stop()
			w.spoil()
			a.reachWhere("it is told that the settings can't be put back", func(m *v1alpha1.Module) bool {
				c := condition(m, v1alpha1.ReadyCondition)
				return c.Reason == reasonDrifted && strings.Contains(c.Message, "can't put back what differs")
			})
			before := asked.Load()
			for range 5 {
				a.reach(lifecycle.Installed)
			}
			if got := asked.Load() - before; got > 0 {
				t.Errorf("asked %d times in no time for settings that can't be put back", got)
			}
			a.wire.answering(0, nil)
			w.clock.goOn()
			a.reachWhere("the settings are put back", func(m *v1alpha1.Module) bool {
				return w.setting() == first.Image && condition(m, v1alpha1.ReadyCondition).Reason == "Installed"
			})
		})
	}
}

// watches picks the requests of who is told of changes, and of who asks what is served: they come when a watch is up or breaks, or a definition of
// another test changes.
func watches(req *http.Request) bool {
	return req.URL.Query().Has("watch") || strings.Contains(req.Header.Get("Accept"), "MetadataList") || slices.Contains([]string{"/api", "/apis"}, req.URL.Path)
}

// TestPausedIsComparedOnce: of a paused module that differs since before this agent, one look tells; not each.
func TestPausedIsComparedOnce(t *testing.T) {
	t.Parallel()
	w, a := running(t, first)
	a.stop()
	w.want("1.0.0", func(m *v1alpha1.Module) { m.Spec.Paused = true })
	w.spoil()
	a = w.start()
	w.clock.stop()
	differs := func(m *v1alpha1.Module) bool {
		return strings.Contains(condition(m, v1alpha1.ReadyCondition).Message, "settings differs from what was installed")
	}
	a.reachWhere("drift is told", differs)
	var asked atomic.Int32
	a.wire.refusing(func(req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/modules/") && !watches(req) {
			asked.Add(1)
		}
		return false
	})
	for range 5 {
		a.reachWhere("it is still told", differs)
	}
	if got := asked.Load(); got > 0 {
		t.Errorf("%d requests for what is known", got)
	}
	w.want("1.0.0", func(m *v1alpha1.Module) { m.Spec.Paused = false })
	a.reachWhere("the settings are put back", func(*v1alpha1.Module) bool { return w.setting() == first.Image })
}
