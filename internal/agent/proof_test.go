package agent

import (
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// TestRegressed: what counts against a new agent is what fails now, was ready before, and hasn't changed.
func TestRegressed(t *testing.T) {
	handedOver := time.Unix(1_700_000_000, 500)
	for name, tc := range map[string]struct {
		reason             string
		ready              metav1.ConditionStatus
		since              time.Duration
		applied, attempted string
		want               bool
	}{
		"Ready":       {"it is ready", metav1.ConditionTrue, time.Minute, "v1", "v1", false},
		"Regressed":   {"it was ready at this revision", metav1.ConditionFalse, time.Minute, "v1", "v1", true},
		"SameSecond":  {"conditions know seconds only", metav1.ConditionFalse, -500, "v1", "v1", true},
		"Before":      {"it failed under the old agent already", metav1.ConditionFalse, -time.Minute, "v1", "v1", false},
		"NewRevision": {"somebody has committed something that fails", metav1.ConditionFalse, time.Minute, "v1", "v2", false},
		"NeverReady":  {"it was never applied", metav1.ConditionFalse, time.Minute, "", "v1", false},
		"Unknown":     {"it is being looked at", metav1.ConditionUnknown, time.Minute, "v1", "v1", false},
	} {
		t.Run(name, func(t *testing.T) {
			ks := &kustomizev1.Kustomization{Status: kustomizev1.KustomizationStatus{
				Conditions:          []metav1.Condition{{Type: meta.ReadyCondition, Status: tc.ready, LastTransitionTime: metav1.NewTime(handedOver.Add(tc.since).Truncate(time.Second))}},
				LastAppliedRevision: tc.applied, LastAttemptedRevision: tc.attempted,
			}}
			if got := regressed(ks, handedOver); got != tc.want {
				t.Errorf("%s: got %v", tc.reason, got)
			}
		})
	}
}

func TestProof(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "kustomize.toolkit.fluxcd.io_kustomizations.yaml")
	c := env.Client(t, kustomizev1.AddToScheme)
	since := time.Now().Add(-soak / 2)
	elected := make(chan struct{})
	p := &proof{reader: client.NewNamespacedClient(c, env.Namespace), elected: elected, now: time.Now}
	if got := p.checks(t.Context(), since); got != nil {
		t.Errorf("one that doesn't lead has shown %+v", got)
	}
	close(elected)
	if got := p.checks(t.Context(), since); len(got) != 2 || got[0].Passed || !got[1].Passed {
		t.Errorf("after half the time: %+v", got)
	}
	since = time.Now().Add(-soak)
	if got := p.checks(t.Context(), since); len(got) != 2 || !got[0].Passed || !got[1].Passed {
		t.Errorf("after the time: %+v", got)
	}
	ks := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "shop"},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, Path: "./", Prune: true, SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "shop"},
		},
	}
	if err := c.Create(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	ks.Status = kustomizev1.KustomizationStatus{
		Conditions:          []metav1.Condition{{Type: meta.ReadyCondition, Status: metav1.ConditionFalse, Reason: "BuildFailed", LastTransitionTime: metav1.Now()}},
		LastAppliedRevision: "v1", LastAttemptedRevision: "v1",
	}
	if err := c.Status().Update(t.Context(), ks); err != nil {
		t.Fatal(err)
	}
	if got := p.checks(t.Context(), since); len(got) != 2 || got[1].Passed || !strings.Contains(got[1].Message, env.Namespace+"/shop") {
		t.Errorf("with one that fails: %+v", got)
	}
}
