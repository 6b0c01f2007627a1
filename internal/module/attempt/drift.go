package attempt

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

const (
	// firstDriftPause is how long the next correction waits after one that followed soon after another; it doubles, up to maxDriftPause.
	firstDriftPause = 2 * time.Second
	maxDriftPause   = 10 * time.Minute
	// lastingPause is how long the second comparison with the cluster waits after one that found what stays so until somebody changes it; it doubles,
	// up to maxDriftPause.
	lastingPause = time.Minute
	// calm is how long nothing may have been corrected for the pauses to begin anew.
	calm = time.Minute
)

// comparison is how a module at rest was compared with the cluster, by asking.
type comparison struct {
	// revision that was compared, and for which spec and request.
	revision, requested string
	generation          int64
	// whole says that all was as it should be: from then on watches tell what changes. Else news says what wasn't.
	whole bool
	news  *news
	// next is when it is compared again, and pause how long that is after a comparison that didn't come out well: it doubles.
	next  time.Time
	pause time.Duration
}

// holds tells whether a comparison needn't be made again: before its time only for another revision, or if a person may have mended something.
func (c *comparison) holds(m *v1alpha1.Module, now time.Time) bool {
	return c.revision == m.Status.Current.Revision && now.Before(c.next) && (c.whole || c.asked(m))
}

// asked tells whether a comparison is for what a module says now.
func (c *comparison) asked(m *v1alpha1.Module) bool {
	return c.generation == m.Generation && c.requested == m.Annotations[meta.ReconcileRequestAnnotation]
}

// look makes sure that the current revision was compared with the cluster by this process, and that its objects are watched.
func (t *task) look(ctx context.Context) error {
	last := &t.entry.compared
	if last.holds(t.m, t.now) {
		t.news = last.news
		t.again(last.next.Sub(t.now))
		return nil
	}
	if last.revision != t.m.Status.Current.Revision || !last.asked(t.m) {
		*last = comparison{revision: t.m.Status.Current.Revision, generation: t.m.Generation, requested: t.m.Annotations[meta.ReconcileRequestAnnotation]}
	}
	err := t.compareAnew(ctx)
	if err != nil && ctx.Err() == nil {
		t.news = &news{reason: reasonDrifted, message: "can't be compared with the cluster: " + err.Error(), ready: true, reconciling: true}
	}
	last.whole, last.news = err == nil && t.failure == nil && t.news == nil, t.news
	wait := t.settings.Sweep + rand.N(t.settings.Sweep/10+1) //nolint:gosec // spreads load, hides nothing
	if last.whole {
		last.pause = 0
	} else {
		first := firstDriftPause
		if t.failure != nil || t.news != nil && !t.news.reconciling {
			first = lastingPause // what was found won't be otherwise by itself
		}
		last.pause = min(max(2*last.pause, first), maxDriftPause)
		wait = last.pause
	}
	last.next = t.now.Add(wait)
	t.again(wait)
	return err
}

// compareAnew compares the current revision with the cluster, and puts back what differs.
func (t *task) compareAnew(ctx context.Context) error {
	e, current := t.entry, t.m.Status.Current.Revision
	r, err := t.Store.Load(ctx, current)
	if err != nil {
		t.news = &news{reason: reasonStorage, message: err.Error()}
		return nil //nolint:nilerr // told in the conditions, and tried again
	}
	if err := t.watch(ctx, r); err != nil {
		return err
	}
	e.refsFor, e.refs = current, lasts(r)
	if t.m.Spec.Paused {
		return t.compare(ctx, r)
	}
	return t.restore(ctx, r, "found changed")
}

// compare tells, without a write, whether the cluster is as the revision says.
func (t *task) compare(ctx context.Context, r *revision.Revision) error {
	var differ []subject
	for _, s := range r.Steps {
		changes, err := t.Engine.Plan(ctx, stays(s.Objects), t.options())
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Action != apply.Unchanged && c.Action != apply.Skipped {
				differ = append(differ, subject(c.Ref))
			}
		}
	}
	if len(differ) > 0 {
		t.news = &news{reason: reasonDrifted, ready: true, message: list(differ) + " differs from what was installed, and is left so: the module is paused"}
	}
	return nil
}

// restore applies a revision again, and tells what that changed.
func (t *task) restore(ctx context.Context, r *revision.Revision, why string) error {
	var changed []subject
	for _, s := range r.Steps {
		changes, done, err := t.tryPut(ctx, stays(s.Objects))
		for _, c := range changes {
			if c.Action == apply.Created || c.Action == apply.Configured || c.Action == apply.Recreated {
				changed = append(changed, subject(c.Ref))
			}
		}
		if err != nil {
			return err
		}
		if !done {
			t.news = &news{reason: reasonDrifted, message: "can't put back what differs: " + t.waits, reconciling: t.failure == nil}
			break
		}
	}
	if len(changed) > 0 {
		t.tell(false, reasonCorrected, list(changed)+" was "+why+", and is as it should be again")
		t.Metrics.putBack(t.m.Name, len(changed))
	}
	return nil
}

// correctDrift puts back what differs from the current revision.
func (t *task) correctDrift(ctx context.Context) error {
	e := t.entry
	r, err := t.Store.Load(ctx, t.m.Status.Current.Revision)
	if err != nil {
		t.news = &news{reason: reasonStorage, message: err.Error()}
		return nil //nolint:nilerr // told in the conditions
	}
	if t.now.Sub(e.driftAt) > calm+e.driftPause {
		e.driftPause = 0
	} else {
		e.driftPause = min(max(2*e.driftPause, firstDriftPause), maxDriftPause)
	}
	e.driftAt = t.now
	if err := t.restore(ctx, r, "changed by somebody"); err != nil {
		return err
	}
	if e.driftProblem = t.news; t.news != nil {
		e.driftPause = max(e.driftPause, firstDriftPause)
	}
	return nil
}

// stays are the objects that a revision keeps in the cluster: a Job that removes itself isn't made again.
func stays(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		if !health.HealthyWhenGone(o) {
			out = append(out, o)
		}
	}
	return out
}

// lasts lists what of a revision should be there at any time.
func lasts(r *revision.Revision) []kube.Ref {
	var refs []kube.Ref
	for _, o := range stays(revision.Objects(r.Steps)) {
		refs = append(refs, kube.RefOf(o))
	}
	return refs
}
