package attempt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// ailing is an object that isn't healthy.
type ailing struct {
	ref     kube.Ref
	verdict health.Verdict
}

func (a ailing) String() string {
	text := a.ref.Subject()
	if a.verdict.State != health.Progressing {
		text += " is " + string(a.verdict.State)
	}
	if a.verdict.Message != "" {
		text += " (" + a.verdict.Message + ")"
	}
	return text
}

// maxNamed is how many objects a message names.
const maxNamed = 5

func list[T fmt.Stringer](all []T) string {
	var parts []string
	for _, one := range all[:min(len(all), maxNamed)] {
		parts = append(parts, one.String())
	}
	if more := len(all) - maxNamed; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// ailing returns those of objects that were just applied that aren't healthy, or aren't seen yet as they were applied. What can't be watched
// is asked for, and looked at again after a while. The worst come first.
func (t *task) ailing(ctx context.Context, objects []*unstructured.Unstructured) []ailing {
	var bad, waiting []ailing
	unwatched := false
	for _, o := range objects {
		ref := kube.RefOf(o)
		state, exists, watched := t.Pool.Get(ref)
		verdict := health.Verdict{State: health.State(state.Health.State), Reason: state.Health.Reason, Message: state.Health.Message}
		switch {
		case !watched:
			verdict, unwatched = t.ask(ctx, ref, o), true
		case !exists && health.HealthyWhenGone(o):
			continue
		case !exists:
			verdict = health.Verdict{State: health.Progressing, Message: "does not exist"}
		case !t.Engine.InSync(plan.Owner(t.m.Name), ref):
			verdict = health.Verdict{State: health.Progressing, Message: "is not yet seen as applied"}
		}
		switch verdict.State {
		case health.Healthy:
		case health.Degraded:
			bad = append(bad, ailing{ref, verdict})
		default:
			waiting = append(waiting, ailing{ref, verdict})
		}
	}
	if unwatched || len(bad)+len(waiting) > 0 {
		t.again(t.settings.CheckEvery) // also where a watch has missed something
	}
	return append(bad, waiting...)
}

// ask judges an object by a request.
func (t *task) ask(ctx context.Context, ref kube.Ref, applied *unstructured.Unstructured) health.Verdict {
	live, err := t.Clients.Get(ctx, kube.Identity{}, ref)
	switch {
	case apierrors.IsNotFound(err) && health.HealthyWhenGone(applied):
		return health.Verdict{State: health.Healthy}
	case apierrors.IsNotFound(err):
		return health.Verdict{State: health.Progressing, Message: "does not exist"}
	case err != nil:
		return health.Verdict{State: health.Unknown, Message: "can't be read: " + err.Error()}
	}
	return t.assess(live)
}

func (t *task) assess(live *unstructured.Unstructured) health.Verdict {
	if t.Assess != nil {
		return t.Assess(live)
	}
	return health.Assess(live)
}

// lasting returns why objects count as failed: one has been Degraded for longer than the grace. Much looks so when it begins.
func (t *task) lasting(objects []*unstructured.Unstructured, bad []ailing) *v1alpha1.Failure {
	degraded := slices.DeleteFunc(slices.Clone(bad), func(a ailing) bool { return a.verdict.State != health.Degraded })
	for _, o := range objects {
		ref := kube.RefOf(o)
		if !slices.ContainsFunc(degraded, func(a ailing) bool { return a.ref == ref }) {
			delete(t.entry.degraded, ref)
		}
	}
	for _, one := range degraded {
		since, known := t.entry.degraded[one.ref]
		if !known {
			t.entry.degraded[one.ref], since = t.now, t.now
		}
		left := since.Add(t.settings.Grace).Sub(t.now)
		if left <= 0 {
			return t.failed(reasonDegraded, one.String())
		}
		t.again(left)
	}
	return nil
}

// judged are the objects whose health decides about an attempt: those that were healthy before, or weren't there.
func (s *sets) judged(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		if !s.baseline[kube.RefOf(o).Subject()] {
			out = append(out, o)
		}
	}
	return out
}
