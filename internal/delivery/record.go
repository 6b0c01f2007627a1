package delivery

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// recordEach is how much time each Kustomization adds to that in which all of them record a revision that changed nothing for them:
	// a commit to a repository of a thousand is a hundred status writes a second, behind those of the few that it does change, and the
	// commits that come meanwhile cost nothing more.
	recordEach = 10 * time.Millisecond
	// defaultRecordWithin is the longest that such a revision goes without being recorded.
	defaultRecordWithin = 10 * time.Second
)

// recordDue tells whether the revision that the source has come to is to be recorded now, although no file that the last build read has
// changed. Who depends on this Kustomization waits for that: then it is at once.
func (t *task) recordDue(ctx context.Context, f facts) bool {
	if !f.revision || f.content || f.failed || f.waiting { // told with what comes of those
		t.entry.recordAt = time.Time{}
		return false
	}
	if t.entry.recordAt.IsZero() {
		t.entry.recordAt = t.started
		if len(t.dependents(ctx, t.key())) == 0 {
			longest := min(t.opts.RecordWithin, time.Duration(t.memory.len())*recordEach)
			if t.opts.RecordWithin > defaultRecordWithin { // asked for
				longest = t.opts.RecordWithin
			}
			t.entry.recordAt = t.started.Add(rand.N(longest + 1)) //nolint:gosec // no secret depends on it
		}
	}
	return !t.started.Before(t.entry.recordAt)
}
