package telemetry

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Artifact is what a fetch brought.
type Artifact struct {
	Revision, Digest string
	// Changed: it is another one than before.
	Changed bool
}

// Fetching makes a fetch, which no worker waits for, a run of its own: requests, time and trace are those of the object o.
func (t *Telemetry) Fetching(ctx context.Context, o Object, fetch func(context.Context) (Artifact, error)) {
	ctx, run := t.Begin(ctx, o) // without telemetry there is no run, and what it is told is lost
	inner, end := Fetch.Begin(ctx)
	got, err := fetch(inner)
	switch {
	case err != nil:
		run.Fetched(Failed)
	case got.Changed:
		run.Fetched(Changed)
	default:
		run.Fetched(Unchanged)
	}
	if err == nil {
		run.brought(got.Revision)
		run.Output(got.Revision, got.Digest)
	}
	end(err)
	run.End(err)
}

func (r *Run) brought(revision string) {
	if r != nil {
		r.account.brought(revision, r.started)
	}
}

// Delivered tells that the run's object is ready, for the first time, with a revision of a source. It is timed from when the source's
// fetch began, or from when there was something to deliver to if that was later.
func (r *Run) Delivered(source Object, revision string, notBefore time.Time) {
	if r == nil {
		return
	}
	since := r.t.account(source).seen(revision)
	if since.IsZero() {
		return // brought by an earlier process, or by somebody else
	}
	if since.Before(notBefore) {
		since = notBefore
	}
	r.t.metrics.delivery.WithLabelValues(r.object.Kind).Observe(max(time.Since(since), 0).Seconds())
}

// Receiving counts what is read of an answer of a source's server, for the run that the context belongs to.
func Receiving(ctx context.Context, from io.Reader) io.Reader {
	r := From(ctx)
	if r == nil {
		return from
	}
	return &receiving{from, r.t.metrics.received.WithLabelValues(r.object.Kind)}
}

type receiving struct {
	io.Reader

	bytes prometheus.Counter
}

// Read implements io.Reader.
func (r *receiving) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.bytes.Add(float64(n))
	return n, err
}
