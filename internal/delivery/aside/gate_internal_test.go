package aside

import (
	"math"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestALeaseCountsForAMinuteAtMost(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for name, tc := range map[string]struct {
		reason  string
		renewed time.Duration // after start
		seconds int32
		again   bool // it is listed again half a minute later
		open    time.Duration
	}{
		"Flux's":    {"what Flux writes counts as long as it says", 0, 35, false, 36 * time.Second},
		"for ever":  {"no duration holds the agent up for longer than a minute", 0, math.MaxInt32, false, time.Minute + time.Second},
		"tomorrow":  {"a clock that is ahead, or a lie, doesn't either", 24 * time.Hour, 35, false, 36 * time.Second},
		"re-listed": {"nor does a watch that is begun anew: the Lease was not renewed", 24 * time.Hour, math.MaxInt32, true, time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := clocktesting.NewFakeClock(start)
			g := New(nil, nil, logr.Discard(), prometheus.NewRegistry())
			g.clock = now
			for _, c := range controllers {
				g.known[c] = true
			}
			who, renewed := "pod", metav1.NewMicroTime(start.Add(tc.renewed))
			l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: DefaultNamespace, Name: controllers[0] + leaseSuffix}}
			l.Spec = coordinationv1.LeaseSpec{HolderIdentity: &who, LeaseDurationSeconds: &tc.seconds, RenewTime: &renewed}
			g.take(controllers[0], l, false)
			if !g.Closed() {
				t.Fatal("the gate is open while Flux works")
			}
			if tc.again {
				now.SetTime(start.Add(30 * time.Second))
				g.take(controllers[0], l, false)
			}
			now.SetTime(start.Add(tc.open))
			if g.Closed() {
				t.Errorf("%s: still closed after %s", tc.reason, tc.open)
			}
			later := metav1.NewMicroTime(renewed.Add(time.Hour))
			l.Spec.RenewTime = &later
			g.take(controllers[0], l, true)
			if !g.Closed() {
				t.Error("the gate is open although the Lease was renewed")
			}
		})
	}
}
