package telemetry

import "context"

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
		run.Output(got.Revision, got.Digest)
	}
	end(err)
	run.End(err)
}
