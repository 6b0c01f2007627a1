package attempt

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

const (
	// defaultInterval is the pause between two looks at a source.
	defaultInterval = 10 * time.Minute
	// firstRetry is the pause after the first time that somebody didn't answer; it doubles.
	firstRetry = 5 * time.Second
	// lastRetry is up to which the pause doubles at least, however short the interval is.
	lastRetry = 5 * time.Minute
	// spread is by how much of it an interval is longer or shorter at random, so that modules don't ask all at once.
	spread = 0.1
)

// find returns the next thing that has happened, "" for nothing. It does the work of the state: that it is finished, or failed, is what
// has happened then.
func (t *task) find(ctx context.Context) (lifecycle.Event, error) {
	phase := t.phase()
	if !t.m.DeletionTimestamp.IsZero() && phase != lifecycle.Uninstalling {
		return lifecycle.Deleted, nil
	}
	for _, one := range []struct {
		event lifecycle.Event
		is    bool
	}{
		{lifecycle.RollbackAsked, t.rollbackAsked()},
		{lifecycle.RetryAsked, t.retryAsked()},
	} {
		if one.is && !t.decided[one.event] {
			return one.event, nil
		}
	}
	if lifecycle.Resting(phase) || phase == lifecycle.Preparing {
		changed, err := t.changed(ctx)
		if err != nil || changed && !t.decided[lifecycle.Changed] {
			return lifecycle.Changed, err
		}
	}
	if !lifecycle.Resting(phase) {
		return t.work(ctx)
	}
	return t.atRest(ctx)
}

// work does the work of the state.
func (t *task) work(ctx context.Context) (lifecycle.Event, error) {
	t.failure, t.waits = nil, ""
	event, err := t.workOf(ctx)
	if event != "" && t.decided[event] {
		event = ""
	}
	if event != "" || ctx.Err() != nil {
		return event, err
	}
	if a := t.m.Status.Attempt; a != nil && t.phase() != lifecycle.Planning && t.phase() != lifecycle.Preparing && t.phase() != lifecycle.Uninstalling {
		left := a.Deadline.Sub(t.now)
		if left <= 0 {
			why := t.waits
			if err != nil {
				why = err.Error()
			}
			t.failure = t.failed(reasonDeadline, "not finished in time: "+cmp.Or(why, "the cluster doesn't answer"))
			return lifecycle.DeadlinePassed, nil
		}
		t.again(left)
	}
	return "", err
}

func (t *task) workOf(ctx context.Context) (lifecycle.Event, error) {
	switch t.phase() {
	case lifecycle.Planning:
		return t.makePlan(ctx)
	case lifecycle.Preparing:
		return t.storeRevision(ctx)
	case lifecycle.Applying:
		return t.applyNew(ctx)
	case lifecycle.Soaking:
		return t.soak(ctx)
	case lifecycle.Committing:
		return t.commit(ctx)
	case lifecycle.RollingBack:
		return t.rollBack(ctx)
	case lifecycle.Uninstalling:
		return t.removeAll(ctx)
	}
	return "", nil
}

// changed tells whether something else may be wanted than what was planned last.
func (t *task) changed(ctx context.Context) (bool, error) {
	if t.phase() == lifecycle.Preparing {
		// Without the plan's objects, which a restart has lost, there is nothing to store.
		return t.entry.plan == nil || len(t.entry.plan.Steps) == 0 || t.m.Generation != t.entry.plan.Generation, nil
	}
	if t.entry.due {
		return true, nil
	}
	look := &t.entry.look
	requested := t.m.Annotations[meta.ReconcileRequestAnnotation]
	again := requested != t.m.Status.LastHandledReconcileAt
	failing := look.tries > 0 && look.generation == t.m.Generation && look.requested == requested
	if failing {
		if left := look.retry.Sub(t.now); left > 0 {
			t.again(left)
			return false, nil
		}
		return true, nil
	}
	if again || t.m.Status.ObservedGeneration != t.m.Generation {
		return true, nil
	}
	return t.timeToLook(ctx)
}

// timeToLook tells whether something else is wanted, where nobody has said so, and the interval has passed or somebody nudged.
func (t *task) timeToLook(ctx context.Context) (bool, error) {
	look := &t.entry.look
	if look.at.IsZero() { // this process hasn't looked yet; not all at once
		t.watchInputs(ctx)
		look.at = t.now.Add(-t.interval()).Add(time.Duration(rand.Int64N(int64(min(t.interval(), time.Minute))))) //nolint:gosec // spreads load, hides nothing
	}
	nudged := t.entry.nudged.Swap(false)
	if left := look.at.Add(t.interval()).Sub(t.now); left > 0 && !nudged {
		t.again(left)
		return false, nil
	}
	jitter := time.Duration((rand.Float64()*2 - 1) * spread * float64(t.interval())) //nolint:gosec // spreads load, hides nothing
	look.at = t.now.Add(jitter)
	t.again(t.interval() + jitter)
	if p := t.phase(); p == lifecycle.Blocked || p == lifecycle.Frozen || p == lifecycle.Pending {
		return true, nil // what stood in the way may be in the cluster
	}
	looker, cheap := t.Planner.(Looker)
	if !cheap || t.m.Status.Plan == nil || t.m.Status.Plan.Inputs == "" {
		return true, nil
	}
	_, leave, free := t.enterLane()
	if !free {
		t.entry.nudged.Store(true) // looks whatever the time is
		return false, nil
	}
	defer leave()
	within, cancel := context.WithTimeout(ctx, t.settings.PlanWithin)
	defer cancel()
	inputs, err := looker.Inputs(within, t.m.DeepCopy())
	if err != nil { // what is planned stays; the next look asks again
		t.log.Info("Can't look what is wanted", "why", err.Error())
		t.putOff(err)
		return false, nil
	}
	t.answered()
	return inputs != t.m.Status.Plan.Inputs, nil
}

func (t *task) interval() time.Duration { return Interval(t.m) }

// Interval is the pause between two looks at a module's source.
func Interval(m *v1alpha1.Module) time.Duration {
	if m.Spec.Interval == nil || m.Spec.Interval.Duration <= 0 {
		return defaultInterval
	}
	return m.Spec.Interval.Duration
}

// RetryAfter is the pause after somebody hasn't answered that many times in a row, the last time after a while: it doubles up to the interval, or
// five minutes if that is shorter. Nor is it shorter than that while, so that who asks somebody that is dead is busy with it half of the time at
// most.
func RetryAfter(tries int, interval, took time.Duration) time.Duration {
	const doublings = 10
	pause := min(firstRetry<<min(max(tries-1, 0), doublings), max(interval, lastRetry))
	return max(pause, took)
}

// putOff notes that somebody didn't answer.
func (t *task) putOff(why error) {
	look := &t.entry.look
	requested := t.m.Annotations[meta.ReconcileRequestAnnotation]
	if look.generation != t.m.Generation || look.requested != requested {
		look.tries = 0
	}
	look.tries++
	now := t.settings.Now()
	pause := RetryAfter(look.tries, t.interval(), now.Sub(t.now))
	look.retry, look.generation, look.requested, look.problem = now.Add(pause), t.m.Generation, requested, why.Error()
	t.again(pause)
}

func (t *task) answered() { t.entry.look.tries, t.entry.look.problem = 0, "" }

// rollbackAsked tells whether a person wants the attempt to be taken back.
func (t *task) rollbackAsked() bool {
	digest := t.attempted()
	underWay := []lifecycle.State{lifecycle.Preparing, lifecycle.Applying, lifecycle.Soaking, lifecycle.Committing, lifecycle.Frozen}
	return digest != "" && slices.Contains(underWay, t.phase()) && t.m.Annotations[v1alpha1.RollbackAnnotation] == string(digest)
}

// attempted is the digest of the attempt that is under way or about to begin.
func (t *task) attempted() v1alpha1.Digest {
	switch s := t.m.Status; {
	case t.phase() == lifecycle.Preparing && s.Target != nil:
		return s.Target.Digest
	case s.Attempt != nil:
		return s.Attempt.Target.Digest
	}
	return ""
}

// retryAsked tells whether a person wants a digest to be tried again that failed.
func (t *task) retryAsked() bool {
	digest := v1alpha1.Digest(t.m.Annotations[v1alpha1.RetryAnnotation])
	return digest != "" && rejection(t.m, digest) != nil
}

// heeded are the annotations that have been answered, and mean nothing any more. One that asks for another try is kept until that begins: it is
// what leads forward out of Frozen.
func (t *task) heeded() []string {
	var keys []string
	notes := t.m.Annotations
	phase := t.phase()
	if digest := notes[v1alpha1.RetryAnnotation]; digest != "" && !t.retryAsked() && phase != lifecycle.Planning && phase != lifecycle.Preparing {
		keys = append(keys, v1alpha1.RetryAnnotation)
	}
	for _, key := range []string{v1alpha1.RollbackAnnotation, v1alpha1.ForceAnnotation} {
		if digest := notes[key]; digest != "" && digest != string(t.attempted()) {
			keys = append(keys, key)
		}
	}
	return keys
}

// rejection returns why a digest was rejected, nil if it wasn't.
func rejection(m *v1alpha1.Module, digest v1alpha1.Digest) *v1alpha1.Rejection {
	for i := range m.Status.Rejected {
		if m.Status.Rejected[i].Digest == digest {
			return &m.Status.Rejected[i]
		}
	}
	return nil
}
