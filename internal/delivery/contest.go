package delivery

import (
	"time"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// contestWindow is how soon after it was put back an object must have been changed again for the two to count as a contest.
	contestWindow = time.Minute
	// contestRounds is how often an object is put back at once before pauses begin.
	contestRounds = 5
	// firstTruce and lastTruce bound the pauses, which double.
	firstTruce, lastTruce = 5 * time.Second, 10 * time.Minute
)

// contest keeps count of objects that somebody else, often another controller or a webhook, changes back as often as they are put back.
// Each such round costs both sides; after a few the rounds are spaced out.
type contest map[kube.Ref]round

type round struct {
	count int
	at    time.Time // of the last time it was put back
}

// restored counts the objects that were put back by an attempt, and returns those with which pauses begin.
func (c *contest) restored(changes []apply.Change, now time.Time) (begun []kube.Ref) {
	for _, change := range changes {
		if !change.Drift {
			continue
		}
		if *c == nil {
			*c = contest{}
		}
		ref := change.Ref.Unversioned()
		r := (*c)[ref]
		if now.Sub(r.at) > contestWindow+truce(r.count) {
			r.count = 0
		}
		r.count, r.at = r.count+1, now
		(*c)[ref] = r
		if r.count == contestRounds {
			begun = append(begun, change.Ref)
		}
	}
	return begun
}

// ongoing tells how many objects are contested, and until when they count as that if nobody changes them again.
func (c contest) ongoing(now time.Time) (objects int, until time.Time) {
	for _, r := range c {
		end := r.at.Add(contestWindow + truce(r.count))
		if r.count < contestRounds || now.After(end) {
			continue
		}
		objects++
		if end.After(until) {
			until = end
		}
	}
	return objects, until
}

// until is when ref may be put back again; the zero time: now.
func (c contest) until(ref kube.Ref) time.Time {
	r, ok := c[ref.Unversioned()]
	if !ok || truce(r.count) == 0 {
		return time.Time{}
	}
	return r.at.Add(truce(r.count))
}

// truce is the pause after an object was put back so many times in a row.
func truce(count int) time.Duration {
	if count < contestRounds {
		return 0
	}
	return min(firstTruce<<min(count-contestRounds, 16), lastTruce)
}
