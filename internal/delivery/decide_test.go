package delivery

import (
	"testing"
)

func TestDecide(t *testing.T) {
	cases := map[string]struct {
		reason string
		facts  facts
		want   action
	}{
		"first":             {"nothing is remembered after a start of the agent", facts{}, attempt},
		"nothing":           {"nothing changed: no request", facts{known: true}, rest},
		"spec":              {"a new spec is applied", facts{known: true, generation: true}, attempt},
		"content":           {"a file that the build read changed", facts{known: true, content: true, revision: true}, attempt},
		"other files":       {"a commit that doesn't concern the build is recorded", facts{known: true, revision: true, due: true}, record},
		"other files, new":  {"but not at once: what is concerned goes first", facts{known: true, revision: true}, rest},
		"requested":         {"a request is answered by a status write", facts{known: true, requested: true}, record},
		"interval":          {"time alone changes nothing where everything is watched", facts{known: true, interval: true}, rest},
		"interval, blind":   {"what can't be watched is applied at each interval", facts{known: true, interval: true, unwatched: true}, attempt},
		"requested, blind":  {"and on request", facts{known: true, requested: true, unwatched: true}, attempt},
		"blind":             {"but not at every wake", facts{known: true, unwatched: true}, rest},
		"drift":             {"an object differs from what was applied", facts{known: true, drifted: true}, attempt},
		"drift, waiting":    {"drift is put back although health is waited for", facts{known: true, drifted: true, waiting: true}, attempt},
		"variables":         {"a substituted value changed", facts{known: true, inputs: true}, attempt},
		"sweep":             {"the safety net looks at everything", facts{known: true, sweep: true}, attempt},
		"pending":           {"what could not be applied as a whole goes on", facts{known: true, pending: true}, attempt},
		"unblocked":         {"the status must not go on saying that something stands in the way", facts{known: true, blocked: true}, record},
		"unblocked, failed": {"nor hide a failure", facts{known: true, failed: true, blocked: true}, attempt},
		"waiting":           {"health moved", facts{known: true, waiting: true}, judge},
		"superseded":        {"a new revision takes over from a wait", facts{known: true, waiting: true, content: true, revision: true}, attempt},
		"failed":            {"a failure rests until its retry", facts{known: true, failed: true}, rest},
		"failed, retry":     {"then it is tried again", facts{known: true, failed: true, retry: true}, attempt},
		"failed, revision":  {"any new revision is tried at once, whatever it changes", facts{known: true, failed: true, revision: true}, attempt},
		"failed, requested": {"so is a request", facts{known: true, failed: true, requested: true}, attempt},
		"failed, healthy":   {"an object that failed to become healthy may have recovered", facts{known: true, failed: true, waiting: true}, judge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := decide(tc.facts); got != tc.want {
				t.Errorf("%s: decide(%+v) = %s, want %s", tc.reason, tc.facts, got, tc.want)
			}
		})
	}
}

// TestDecideHolds checks, for every combination of facts, what must hold whatever else is true.
func TestDecideHolds(t *testing.T) {
	const bits = 16
	for n := range 1 << bits {
		bit := func(i int) bool { return n>>i&1 == 1 }
		f := facts{
			known: bit(0), failed: bit(1), waiting: bit(2), unwatched: bit(3), generation: bit(4), inputs: bit(5), content: bit(6),
			revision: bit(7), drifted: bit(8), requested: bit(9), interval: bit(10), retry: bit(11), sweep: bit(12), pending: bit(13), blocked: bit(14), due: bit(15),
		}
		got := decide(f)
		for rule, broken := range map[string]bool{
			"a difference is applied":                       got != attempt && (f.generation || f.inputs || f.content || f.drifted),
			"a failure is never recorded as success":        got == record && f.failed,
			"a request is never forgotten":                  got == rest && f.requested,
			"nothing is recorded over a wait":               got == record && f.waiting,
			"what was in the way is not left in the status": got == rest && f.blocked,
			"a revision that is due is not left unrecorded": got == rest && f.due && !f.failed,
			"without cause there is no work": got != rest && f.known && !(f.waiting || f.pending || f.blocked || f.generation || f.inputs || f.content || f.revision ||
				f.due || f.drifted || f.requested || f.interval || f.retry || f.sweep),
		} {
			if broken {
				t.Fatalf("%s: decide(%+v) = %s", rule, f, got)
			}
		}
	}
}
