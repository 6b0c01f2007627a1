package delivery

import (
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestRetriesHaveALowerBound(t *testing.T) {
	obj := &kustomizev1.Kustomization{}
	obj.Spec.RetryInterval = &metav1.Duration{Duration: time.Millisecond}
	if got := retryInterval(obj); got < minRetry {
		t.Errorf("a failure is tried again after %s: a typing error keeps everybody busy", got)
	}
}

func TestHealthChecksHaveAnUpperBound(t *testing.T) {
	spec := &kustomizev1.KustomizationSpec{HealthChecks: make([]meta.NamespacedObjectKindReference, maxHealthChecks)}
	if err := unsupported(spec); err != nil {
		t.Errorf("as many as are allowed: %v", err)
	}
	spec.HealthChecks = append(spec.HealthChecks, meta.NamespacedObjectKindReference{})
	if unsupported(spec) == nil {
		t.Error("each costs a watch: one more must be refused")
	}
}

func TestPendingSetsAreTakenUpLessAndLessOften(t *testing.T) {
	var last time.Duration
	looks := 0
	for waited := time.Duration(0); waited < time.Hour; looks++ {
		pause := pendingPause(waited)
		if pause < last || pause < pollPending || pause > maxPollPending {
			t.Fatalf("after %s the pause is %s, after the one before it was %s", waited, pause, last)
		}
		last, waited = pause, waited+pause
	}
	if last != maxPollPending || looks > 150 {
		t.Errorf("in an hour a set is taken up %d times, in the end every %s", looks, last)
	}
}
