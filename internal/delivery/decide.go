package delivery

// facts is all that the decision of what to do about a Kustomization rests on. They are gathered without a request to the API server
// unless something that the spec refers to may have changed.
type facts struct {
	// known: an attempt has ended since the agent started.
	known bool
	// failed: that attempt failed.
	failed bool
	// blocked: the status says that something stands in the way, which is gone.
	blocked bool
	// waiting: it was applied, and the health of its objects decides the rest.
	waiting bool
	// pending: it could not be applied as a whole yet, because the cluster has to catch up with what was written first.
	pending bool
	// unwatched: some of its objects cannot be watched for drift.
	unwatched bool

	// generation, inputs, content: the spec, the values and keys that it refers to in the cluster, or a file that the build read differ from that attempt's.
	generation, inputs, content bool
	// revision: the source is at another revision than the one recorded.
	revision bool
	// due: the revision has waited long enough for being recorded, although nothing that matters changed with it.
	due bool
	// drifted: an object differs from what was applied.
	drifted bool
	// requested: a person asked for a reconcile that has not been answered.
	requested bool
	// interval, retry, sweep: the time of the next look, of the next try after a failure, or of the safety net has come.
	interval, retry, sweep bool
}

// action is what to do about a Kustomization.
type action string

const (
	// rest: nothing has changed; no request, no write.
	rest action = "rest"
	// record: nothing that matters changed, but the status must name the new revision or answer the request.
	record action = "record"
	// judge: look at the health that is waited for.
	judge action = "judge"
	// attempt: build and apply.
	attempt action = "attempt"
)

// decide maps what is known to what to do. The order of the rules is their precedence.
func decide(f facts) action {
	switch {
	case !f.known:
		return attempt
	case f.generation, f.inputs, f.content, f.drifted, f.sweep:
		return attempt
	case f.pending:
		return attempt
	case f.failed && (f.revision || f.requested || f.retry || f.blocked):
		return attempt
	case f.unwatched && (f.requested || f.interval):
		return attempt
	case f.waiting:
		return judge
	case f.failed:
		return rest
	case f.due, f.requested, f.blocked:
		return record
	}
	return rest
}
