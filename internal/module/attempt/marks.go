package attempt

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

const (
	// maxRejected is how many rejections a status holds.
	maxRejected = 16
	// maxMessage is how long a message in the status may be, in bytes.
	maxMessage = 4096
	// defaultDeadline and defaultSoak are those of a gate that says none.
	defaultDeadline = 10 * time.Minute
	defaultSoak     = time.Minute
)

// mark changes the status as a decision says. It is written afterwards, all at once.
func (t *task) mark(event lifecycle.Event, d lifecycle.Decision) {
	for _, a := range d.Actions {
		switch a {
		case lifecycle.BeginAttempt:
			t.beginAttempt()
		case lifecycle.StartDeadline:
			t.m.Status.Attempt.Deadline = metav1.NewTime(t.now.Add(t.deadline()))
		case lifecycle.BeginCommit:
			t.m.Status.Attempt.CommitBegan, t.m.Status.Attempt.Step = t.stamp(), ""
		case lifecycle.RejectDigest:
			t.reject(event)
		case lifecycle.ReleaseDigest:
			asked := v1alpha1.Digest(t.m.Annotations[v1alpha1.RetryAnnotation])
			t.m.Status.Rejected = slices.DeleteFunc(t.m.Status.Rejected, func(r v1alpha1.Rejection) bool { return r.Digest == asked })
			if t.m.Status.Attempt != nil {
				t.m.Status.Attempt.Failure = nil
			}
		case lifecycle.MakeCurrent:
			current := t.m.Status.Attempt.Target
			t.m.Status.Current, t.m.Status.Target = &current, nil
			t.m.Status.Rejected = slices.DeleteFunc(t.m.Status.Rejected, func(r v1alpha1.Rejection) bool { return r.Digest == current.Digest })
		case lifecycle.ForgetAttempt:
			t.m.Status.Attempt = nil
			t.entry.sets = nil
		}
	}
	t.enter(d.To)
}

// enter makes a phase the module's.
func (t *task) enter(to lifecycle.State) {
	if t.m.Status.Phase == to {
		return
	}
	if to == lifecycle.Planning {
		t.rested, t.restedSince = t.phase(), t.m.Status.PhaseSince
	}
	was := t.phase()
	t.m.Status.Phase, t.m.Status.PhaseSince = to, t.stamp()
	if was == lifecycle.Planning && to == t.rested && t.restedSince != nil {
		t.m.Status.PhaseSince = t.restedSince // it was only asked again
	}
	t.waits = ""
	clear(t.decided)
	clear(t.entry.degraded)
	if to == lifecycle.RollingBack {
		t.entry.applied = ""
	}
	if a := t.m.Status.Attempt; a != nil && (to == lifecycle.RollingBack || to == lifecycle.Applying) {
		a.Step, a.SoakBegan = "", nil
	}
}

// beginAttempt writes the intention. An attempt that wasn't settled is gone over.
func (t *task) beginAttempt() {
	a := &v1alpha1.Attempt{Target: *t.m.Status.Target, Generation: t.m.Generation, Began: *t.stamp(), Deadline: *t.stamp()}
	if was := t.m.Status.Attempt; was != nil {
		a.Over = append(slices.Clone(was.Over), was.Target.Revision)
		a.OverCommitted = was.OverCommitted || was.CommitBegan != nil
	}
	t.m.Status.Attempt = a
	t.entry.sets = nil
}

// reject puts the digest of the attempt on the list.
func (t *task) reject(event lifecycle.Event) {
	target, generation := t.m.Status.Target, t.m.Generation
	if a := t.m.Status.Attempt; a != nil && t.phase() != lifecycle.Preparing {
		target, generation = &a.Target, a.Generation
	}
	if target == nil {
		return
	}
	why := t.failure
	if why == nil {
		why = t.failed(reasonAsked, "a person asked for it to be taken back")
		if event == lifecycle.DeadlinePassed {
			why = t.failed(reasonDeadline, "not finished in time")
		}
	}
	if a := t.m.Status.Attempt; a != nil {
		a.Failure = why
	}
	entry := v1alpha1.Rejection{Failure: *why, Digest: target.Digest, Version: target.Version, Generation: generation}
	Reject(&t.m.Status, entry)
}

// Reject puts one on the list of a status, in the place of an earlier one of the same digest.
func Reject(s *v1alpha1.ModuleStatus, one v1alpha1.Rejection) {
	others := slices.DeleteFunc(s.Rejected, func(r v1alpha1.Rejection) bool { return r.Digest == one.Digest })
	s.Rejected = append([]v1alpha1.Rejection{one}, others...)
	s.Rejected = s.Rejected[:min(len(s.Rejected), maxRejected)]
}

// deadline is how long what begins now may take.
func (t *task) deadline() time.Duration {
	if s := t.entry.sets; s != nil && s.next != nil && s.next.Object.Spec.Gate.Deadline != nil {
		return s.next.Object.Spec.Gate.Deadline.Duration
	}
	if p := t.entry.plan; p != nil && p.Gate.Deadline != nil {
		return p.Gate.Deadline.Duration
	}
	return defaultDeadline
}

func (t *task) stamp() *metav1.Time {
	now := metav1.NewTime(t.now)
	return &now
}

func (t *task) failed(reason, message string) *v1alpha1.Failure {
	return &v1alpha1.Failure{Reason: reason, Message: kube.Cut(message, maxMessage), At: *t.stamp()}
}
