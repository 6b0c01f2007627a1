package attempt

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

const (
	// firstDriftPause is how long the next correction waits after one that followed soon after another; it doubles, up to maxDriftPause.
	firstDriftPause = 2 * time.Second
	maxDriftPause   = 10 * time.Minute
	// calm is how long nothing may have been corrected for the pauses to begin anew.
	calm = time.Minute
)

// look makes sure that the current revision was compared with the cluster by this process, and that its objects are watched.
func (t *task) look(ctx context.Context) error {
	e, current := t.entry, t.m.Status.Current.Revision
	if e.seen && e.seenFor == current && t.now.Before(e.sweep) {
		return nil
	}
	r, err := t.Store.Load(ctx, current)
	if err != nil {
		t.news = &news{reason: reasonStorage, message: err.Error()}
		t.again(time.Minute)
		e.seen = false
		return nil //nolint:nilerr // told in the conditions, and tried again
	}
	if err := t.watch(ctx, r); err != nil {
		return err
	}
	e.seenFor, e.refs = current, lasts(r)
	if t.m.Spec.Paused {
		err = t.compare(ctx, r)
	} else {
		err = t.restore(ctx, r, "found changed")
	}
	if err != nil {
		return err
	}
	e.seen = t.failure == nil && t.news == nil
	e.sweep = t.now.Add(t.settings.Sweep + rand.N(t.settings.Sweep/10+1)) //nolint:gosec // spreads load, hides nothing
	if !e.seen {
		t.again(time.Minute)
	}
	return nil
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
		changes, done, err := t.put(ctx, stays(s.Objects))
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
	return t.restore(ctx, r, "changed by somebody")
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
