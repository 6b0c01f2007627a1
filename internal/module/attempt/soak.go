package attempt

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// soak waits until everything was healthy, and every check held, for the length of the soak without a break. What breaks it begins it anew;
// the deadline stays.
func (t *task) soak(ctx context.Context) (lifecycle.Event, error) {
	s, event, err := t.loaded(ctx)
	if s == nil || err != nil {
		return event, err
	}
	gate := s.next.Object.Spec.Gate
	length := defaultSoak
	if gate.Soak != nil {
		length = gate.Soak.Duration
	}
	holds, err := t.appliedHere(ctx, s)
	if err != nil {
		return "", err
	}
	judged := s.judged(revision.Objects(s.next.Steps))
	holds = holds && t.healthy(ctx, judged)
	if t.failure != nil {
		return lifecycle.Failed, nil
	}
	if holds {
		holds = t.checksHold(ctx, s, gate.Checks)
	}
	a := t.m.Status.Attempt
	a.Step = ""
	broken := t.entry.takeBroken(judged)
	switch {
	case !holds:
		a.SoakBegan = nil
		t.again(t.settings.CheckEvery)
		return "", nil
	case length <= 0:
		return lifecycle.Done, nil
	case a.SoakBegan == nil || broken:
		a.SoakBegan = &metav1.Time{Time: t.now.Add(time.Second - 1).Truncate(time.Second)} // kept in seconds: never too short
	}
	left := a.SoakBegan.Add(length).Sub(t.now)
	if left <= 0 {
		return lifecycle.Done, nil
	}
	t.waits = "the end of the soak at " + a.SoakBegan.Add(length).UTC().Format(time.TimeOnly) + " UTC"
	t.again(left)
	if len(gate.Checks) > 0 {
		t.again(t.settings.CheckEvery)
	}
	return "", nil
}

// checksHold asks the checks of a gate, until one says no.
func (t *task) checksHold(ctx context.Context, s *sets, checks []v1alpha1.Check) bool {
	for _, c := range checks {
		why := ""
		switch {
		case c.Object != nil:
			why = t.objectHolds(ctx, *c.Object, s.next.Object.Spec.Namespace)
		case c.Metric != nil:
			why = t.metricHolds(ctx, *c.Metric)
		}
		if why != "" {
			t.waits = "check " + c.Name + ": " + why
			return false
		}
	}
	return true
}
