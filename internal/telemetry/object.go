package telemetry

import (
	"sync"
	"sync/atomic"
	"time"
)

// Object is what is reconciled.
type Object struct {
	Kind, Namespace, Name string
}

// Phase is a part of a reconcile that takes time.
type Phase string

// The phases of a reconcile. Sources have Fetch only.
const (
	Fetch Phase = "fetch"
	Build Phase = "build"
	Apply Phase = "apply"
	Prune Phase = "prune"
	Wait  Phase = "wait"
)

// phases is the order in which they are told.
var phases = [...]Phase{Fetch, Build, Apply, Prune, Wait} //nolint:gochecknoglobals // a constant in all but name

func (p Phase) index() int {
	for i, known := range phases {
		if known == p {
			return i
		}
	}
	return -1
}

// account is what is counted for one object.
type account struct {
	runs, runNanos   atomic.Int64
	queueNanos       atomic.Int64
	requests         atomic.Int64
	found, corrected atomic.Int64
	// contested is how many objects are contested, contestedUntil the time (Unix, nanoseconds) at which that is over unless it is said again.
	contested, contestedUntil atomic.Int64
	phaseRuns                 [len(phases)]atomic.Int64
	phaseNanos                [len(phases)]atomic.Int64

	mu sync.Mutex
	// since is when the object was first woken after it was last looked at, and why; zero: it was not.
	since time.Time
	cause Cause
	// due is when the clock was to wake it.
	due time.Time
	// revision is the last one that was fetched, fetched is when the fetch began that saw it first. They are for sources.
	revision string
	fetched  time.Time
}

// Cause is why an object is looked at.
type Cause string

const (
	// Spec: a person made, changed, deleted or asked for it.
	Spec Cause = "spec"
	// Source: its source has another artifact.
	Source Cause = "source"
	// Dependency: one that it depends on became ready, or no longer is.
	Dependency Cause = "dependency"
	// Cluster: an object that it applied or waits for changed.
	Cluster Cause = "object"
	// Kinds: the cluster serves other kinds.
	Kinds Cause = "kinds"
	// Fetched: a fetch ended.
	Fetched Cause = "fetched"
	// Remote: a remote cluster, or the way to it, changed.
	Remote Cause = "remote"
	// Clock: its time had come, or it failed just now.
	Clock Cause = "clock"
)

// woken notes that the object is to be looked at.
func (a *account) woken(cause Cause, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		a.since, a.cause = now, cause
	}
}

// begun returns why the object is looked at now and for how long it waited.
func (a *account) begun(now time.Time) (Cause, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, cause := a.since, a.cause
	if since.IsZero() {
		since, cause = a.due, Clock
	}
	a.since, a.due = time.Time{}, time.Time{}
	if since.IsZero() {
		return cause, 0
	}
	return cause, max(now.Sub(since), 0)
}

// again notes when the clock wakes the object.
func (a *account) again(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.due = at
}

// waited is for how long the object has waited for a worker; 0: it does not wait.
func (a *account) waited(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since.IsZero() {
		return 0
	}
	return max(now.Sub(a.since), 0)
}

// brought notes the revision that a fetch saw which began at the given time.
func (a *account) brought(revision string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.revision != revision {
		a.revision, a.fetched = revision, at
	}
}

// seen tells when the fetch began that first saw a revision; the zero time: that isn't known, or there is a newer one.
func (a *account) seen(revision string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.revision != revision {
		return time.Time{}
	}
	return a.fetched
}
