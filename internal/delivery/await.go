package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

const (
	// announceAfter is how long a wait for health lasts before the status says so: most end sooner, and the write would be for nothing.
	announceAfter = 2 * time.Second
	// announceAgain is the shortest pause after which the status says anew what the wait is held up by, if that is something else. The
	// pauses double.
	announceAgain = 5 * time.Second
	// pollUnwatched is how often the health of objects is asked for that cannot be watched.
	pollUnwatched = 5 * time.Second
)

// await records what must become healthy, and looks at once whether it is. A wait that was on for the very same objects goes on: its
// deadline stays.
func (t *task) await(ctx context.Context, changes []apply.Change, earlier *wait) (ctrl.Result, error) {
	refs := t.judged()
	if len(refs) == 0 {
		return t.succeed(ctx, changed(changes))
	}
	t.entry.wait = &wait{
		refs: refs, started: t.started, deadline: t.started.Add(t.obj.GetTimeout()), state: waitOpen, changed: changed(changes),
		trace: telemetry.From(ctx).Mark(),
	}
	if earlier != nil && earlier.state == waitOpen {
		t.entry.wait.started, t.entry.wait.deadline = earlier.started, earlier.deadline
		t.entry.wait.announced, t.entry.wait.changed = earlier.announced, earlier.changed || changed(changes)
		t.entry.wait.told = earlier.told
	}
	return t.judge(ctx)
}

// judged are the objects whose health decides: all that were applied, or the ones that healthChecks lists.
func (t *task) judged() []kube.Ref {
	if t.obj.Spec.Wait {
		return t.entry.past.written
	}
	return healthChecks(t.obj)
}

func healthChecks(obj *kustomizev1.Kustomization) []kube.Ref {
	refs := make([]kube.Ref, 0, len(obj.Spec.HealthChecks))
	for _, check := range obj.Spec.HealthChecks {
		gv, err := schema.ParseGroupVersion(check.APIVersion)
		if err != nil {
			gv = schema.GroupVersion{Version: check.APIVersion} // no such version: the wait names the object
		}
		refs = append(refs, kube.Ref{Group: gv.Group, Version: gv.Version, Kind: check.Kind, Namespace: check.Namespace, Name: check.Name})
	}
	return refs
}

// healthMoved tells whether the judge has something to look at.
func (t *task) healthMoved(touched map[kube.Ref]struct{}) bool {
	w := t.entry.wait
	if w == nil {
		return false
	}
	if w.state == waitOpen {
		return true
	}
	return slices.ContainsFunc(w.refs, func(ref kube.Ref) bool { _, ok := touched[ref.Unversioned()]; return ok })
}

// judge looks at the health of what is waited for: healthy ends the wait, a failure or the deadline fails it, and an object that was
// healthy before starts a silent wait of its own.
func (t *task) judge(ctx context.Context) (ctrl.Result, error) {
	w, now := t.entry.wait, t.opts.Clock.Now()
	held := t.held(ctx, w.refs)
	if len(held) == 0 {
		if w.state == waitSettled && !t.facts.requested && !t.facts.revision && !t.facts.blocked {
			return t.again(), nil
		}
		news := w.changed
		t.waited(ctx, nil)
		w.state, w.changed = waitSettled, false
		return t.succeed(ctx, news)
	}
	if w.state == waitSettled {
		w.state, w.started, w.deadline, w.announced, w.told = waitOpen, now, now.Add(t.obj.GetTimeout()), true, now
	}
	worstFirst(held)
	switch {
	case w.state == waitFailed:
		return t.again(), nil
	case held[0].verdict.State == health.Degraded:
		return t.unhealthy(ctx, fmt.Errorf("health check failed: %s", t.describe(ctx, held)))
	case !now.Before(w.deadline):
		return t.unhealthy(ctx, fmt.Errorf("timeout after %s waiting for %s", t.obj.GetTimeout(), t.describe(ctx, held)))
	case !now.Before(w.announceAt()):
		w.announced, w.told = true, now
		t.tell()
		t.progressing(fmt.Sprintf("Waiting up to %s for %s", t.obj.GetTimeout(), t.describe(ctx, held)))
		if err := t.write(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	return t.again(), nil
}

// unhealthy ends a wait that failed.
func (t *task) unhealthy(ctx context.Context, err error) (ctrl.Result, error) {
	t.waited(ctx, err)
	t.entry.wait.state = waitFailed
	return t.fail(ctx, meta.HealthCheckFailedReason, err)
}

// announceAt is when the status should next say what a wait is held up by: soon at first, and then less and less often.
func (w *wait) announceAt() time.Time {
	if w.told.IsZero() {
		return w.started.Add(announceAfter)
	}
	return w.told.Add(max(announceAgain, w.told.Sub(w.started)))
}

// seen is what is known of an object without asking. Of objects that this Kustomization does not apply itself only that counts which its own
// service account may see.
func (t *task) seen(ref kube.Ref) (state observe.State, exists, watched bool) {
	if t.applied(ref) {
		return t.watcher.Get(ref)
	}
	return t.watcher.GetNamed(t.identity(t.obj), ref)
}

// held returns those of refs that are not healthy. Objects that can be watched cost no request.
func (t *task) held(ctx context.Context, refs []kube.Ref) []holdup {
	var held []holdup
	for _, ref := range refs {
		state, exists, watched := t.seen(ref)
		verdict := health.Verdict{State: health.State(state.Health.State), Reason: state.Health.Reason, Message: state.Health.Message}
		switch {
		case !watched, exists && t.entry.past.rules.Has(ref.GroupKind()):
			verdict = t.ask(ctx, ref)
		case !exists && t.done(t.entry.past, ref):
			continue
		case !exists:
			verdict = health.Verdict{State: health.Progressing, Message: "does not exist"}
		case !t.applier.InSync(ownerOf(t.key()), ref) && t.applied(ref):
			verdict = health.Verdict{State: health.Progressing, Message: "is not yet seen as applied"}
		}
		if verdict.State != health.Healthy {
			held = append(held, holdup{ref, verdict})
		}
	}
	return held
}
