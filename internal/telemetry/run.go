package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Run is one look at an object. A nil one does nothing.
type Run struct {
	t       *Telemetry
	object  Object
	account *account
	started time.Time
	root    trace.Span // nil until there is something to trace
	inputs  input
}

type runKey struct{}

// From returns the run that a context belongs to, or nil.
func From(ctx context.Context) *Run {
	r, _ := ctx.Value(runKey{}).(*Run)
	return r
}

// Begin starts a run for an object: what is done with the context counts for it.
func (t *Telemetry) Begin(ctx context.Context, o Object) (context.Context, *Run) {
	if t == nil {
		return ctx, nil
	}
	r := &Run{t: t, object: o, account: t.account(o), started: time.Now()}
	return context.WithValue(ctx, runKey{}, r), r
}

// End ends a run; err is why it failed.
func (r *Run) End(err error) {
	if r == nil || r.root == nil {
		return
	}
	finish(r.root, err)
}

// Begin begins a phase of the run that the context belongs to. The returned function ends it.
func (p Phase) Begin(ctx context.Context, attributes ...Attribute) (context.Context, func(error, ...Attribute)) {
	r := From(ctx)
	if r == nil {
		return ctx, func(error, ...Attribute) {}
	}
	started, requests := time.Now(), r.account.requests.Load()
	ctx, span := r.span(ctx, string(p), attributes)
	return ctx, func(err error, more ...Attribute) {
		r.took(p, time.Since(started))
		if span != nil {
			more = append(more, Int("requests", int(r.account.requests.Load()-requests)))
			set(span, more)
			finish(span, err)
		}
	}
}

func (r *Run) took(p Phase, d time.Duration) {
	i := p.index()
	r.account.phaseRuns[i].Add(1)
	r.account.phaseNanos[i].Add(int64(d))
	r.t.metrics.phase.WithLabelValues(r.object.Kind, string(p)).Observe(d.Seconds())
}

// Drift counts objects that were found changed by others, and those that were put back.
func (r *Run) Drift(found, corrected int) {
	if r == nil {
		return
	}
	r.account.found.Add(int64(found))
	r.account.corrected.Add(int64(corrected))
}

// Contested tells how many objects others keep changing back, and until when that counts unless it is told again.
func (r *Run) Contested(objects int, until time.Time) {
	if r == nil {
		return
	}
	r.account.contested.Store(int64(objects))
	r.account.contestedUntil.Store(until.UnixNano())
}

// Sweep counts a sweep, and the objects that only it found changed.
func (r *Run) Sweep(found int) {
	if r == nil {
		return
	}
	r.t.metrics.sweeps.Inc()
	r.t.metrics.found.Add(float64(found))
}

// Result is what came of a build or a fetch.
type Result string

// The results of builds and of fetches.
const (
	Made      Result = "made"
	Skipped   Result = "skipped"
	Failed    Result = "failed"
	Changed   Result = "changed"
	Unchanged Result = "unchanged"
)

// Built counts a build: Made, Skipped or Failed.
func (r *Run) Built(result Result) {
	if r == nil {
		return
	}
	r.t.metrics.builds.WithLabelValues(string(result)).Inc()
}

// Fetched counts a fetch: Changed, Unchanged or Failed.
func (r *Run) Fetched(result Result) {
	if r == nil {
		return
	}
	r.t.metrics.fetches.WithLabelValues(r.object.Kind, string(result)).Inc()
}
