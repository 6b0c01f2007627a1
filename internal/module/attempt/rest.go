package attempt

import (
	"context"
	"slices"
	"strconv"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// atRest finds what has happened to a module of which nothing is due: what its plan waited for has come, objects differ, objects fail.
func (t *task) atRest(ctx context.Context) (lifecycle.Event, error) {
	if !t.decided[lifecycle.Released] {
		is, err := t.releasedNow(ctx)
		if err != nil || is {
			return lifecycle.Released, err
		}
	}
	if t.m.Status.Current == nil || t.phase() == lifecycle.Frozen {
		return "", nil
	}
	return t.keepUp(ctx)
}

// releasedNow tells whether a plan that waited may be carried out now. It is made anew then: the cluster may have changed.
func (t *task) releasedNow(ctx context.Context) (bool, error) {
	switch t.phase() {
	case lifecycle.Planned:
		if t.entry.plan == nil { // after a restart: only a plan tells
			return true, nil
		}
		var err error
		if t.permit, err = t.may(ctx, t.entry.plan); err != nil {
			return false, err
		}
		t.noteWaiting()
		return t.permit.MayStart && !t.m.Spec.Paused, nil
	case lifecycle.Frozen:
		s := &t.m.Status
		if s.Target == nil || s.Plan == nil || s.Plan.ProblemCount > 0 || t.m.Spec.Paused {
			return false, nil
		}
		digest := s.Target.Digest
		approved := t.m.Annotations[v1alpha1.ApproveAnnotation] == string(digest)
		if !approved || rejection(t.m, digest) != nil || t.entry.approved == digest {
			return false, nil
		}
		t.entry.approved = digest
		return true, nil
	}
	return false, nil
}

// settle does what is worth doing once nothing is due: revisions say what became of them, and what nobody needs goes.
func (t *task) settle(ctx context.Context) error {
	if !lifecycle.Resting(t.phase()) {
		return nil
	}
	switch p := t.entry.plan; {
	case p != nil && t.phase() == lifecycle.Planned:
		waiting := *p
		waiting.Steps, waiting.Before, waiting.Changes = nil, nil, nil
		t.entry.plan = &waiting
	default:
		t.entry.plan = nil
	}
	rest := string(t.phase())
	if since := t.m.Status.PhaseSince; since != nil {
		rest += strconv.FormatInt(since.Unix(), 10) // read back, it has no more than that
	}
	if t.entry.settledFor == rest {
		return nil
	}
	if err := t.stateRevisions(ctx); err != nil {
		return err
	}
	t.entry.settledFor = rest
	return nil
}

// stateRevisions writes into the revisions what became of them, and collects those that nobody needs.
func (t *task) stateRevisions(ctx context.Context) error {
	all, err := t.Store.List(ctx, t.m.Name)
	if err != nil || len(all) == 0 {
		return err
	}
	var named []string
	s := &t.m.Status
	if s.Current != nil {
		named = append(named, s.Current.Revision)
	}
	if s.Attempt != nil {
		named = append(append(named, s.Attempt.Target.Revision), s.Attempt.Over...)
	}
	for i := range all {
		was := all[i].DeepCopy()
		t.state(&all[i], named)
		if _, err := kube.PatchStatus(ctx, t.Direct, was, &all[i], fieldOwner); err != nil {
			return err
		}
	}
	return t.Store.Collect(ctx, all, int(t.m.Spec.RevisionHistoryLimit), named...)
}

// state makes the status of a revision follow from that of its module.
func (t *task) state(r *v1alpha1.ModuleRevision, named []string) {
	s := &t.m.Status
	was := r.Status.State
	r.Status.ObservedGeneration = r.Generation
	switch {
	case s.Current != nil && s.Current.Revision == r.Name:
		r.Status.State, r.Status.ArchivedAt = v1alpha1.RevisionCurrent, nil
		if r.Status.CommittedAt == nil {
			r.Status.CommittedAt = t.stamp()
		}
	case slices.Contains(named, r.Name):
		r.Status.State = v1alpha1.RevisionCandidate
	case was == v1alpha1.RevisionCurrent:
		r.Status.State, r.Status.ArchivedAt = v1alpha1.RevisionArchived, t.stamp()
	case was == v1alpha1.RevisionArchived, was == v1alpha1.RevisionRejected:
	default:
		rejected := rejection(t.m, r.Spec.Digest)
		if rejected == nil || was == "" && !attempted(s, r) {
			r.Status.State = v1alpha1.RevisionCandidate // its attempt never began: it is collected
			break
		}
		r.Status.State, r.Status.Failure = v1alpha1.RevisionRejected, rejected.Failure.DeepCopy()
	}
	if r.Status.State == was {
		return
	}
	conditionOfRevision(r, *t.stamp())
}

// attempted tells whether an attempt for a revision was begun: its number is the latest that the module knows of.
func attempted(s *v1alpha1.ModuleStatus, r *v1alpha1.ModuleRevision) bool {
	return s.Target != nil && (s.Target.Revision == r.Name || s.Target.Digest == r.Spec.Digest)
}

func conditionOfRevision(r *v1alpha1.ModuleRevision, now metav1.Time) {
	ready := metav1.Condition{
		Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: string(r.Status.State), ObservedGeneration: r.Generation,
		LastTransitionTime: now, Message: "not committed",
	}
	apimeta.RemoveStatusCondition(&r.Status.Conditions, v1alpha1.StalledCondition)
	switch r.Status.State {
	case v1alpha1.RevisionCurrent:
		ready.Status, ready.Message = metav1.ConditionTrue, "committed"
	case v1alpha1.RevisionArchived:
		ready.Status, ready.Message = metav1.ConditionTrue, "was committed; another one took its place"
	case v1alpha1.RevisionRejected:
		ready.Message = r.Status.Failure.Reason + ": " + r.Status.Failure.Message
		stalled := ready
		stalled.Type, stalled.Status = v1alpha1.StalledCondition, metav1.ConditionTrue
		kube.SetCondition(&r.Status.Conditions, stalled)
	}
	kube.SetCondition(&r.Status.Conditions, ready)
}

// keepUp compares a module at rest with the cluster: by what watches have seen, and now and then, and after a restart, by asking.
func (t *task) keepUp(ctx context.Context) (lifecycle.Event, error) {
	t.news = nil
	if err := t.look(ctx); err != nil {
		return "", err
	}
	if !t.entry.compared.whole {
		return "", nil
	}
	if drifted := t.drifted(); len(drifted) > 0 {
		return t.driftEvent(drifted), nil
	}
	t.entry.driftProblem = nil
	bad := t.unwell()
	if len(bad) == 0 {
		return "", nil
	}
	t.news = &news{reason: reasonUnhealthy, message: list(bad), reconciling: bad[0].verdict.State != health.Degraded}
	if bad[0].verdict.State == health.Degraded && !t.decided[lifecycle.Failed] {
		return lifecycle.Failed, nil
	}
	return "", nil
}

// drifted are the objects that watches have seen to differ from what was applied.
func (t *task) drifted() []kube.Ref {
	var out []kube.Ref
	for _, ref := range t.entry.refs {
		if t.Engine.Drifted(plan.Owner(t.m.Name), ref) {
			out = append(out, ref)
		}
	}
	return out
}

// unwell are the objects that watches have seen not to be healthy, the worst first.
func (t *task) unwell() []ailing {
	var bad, waiting []ailing
	for _, ref := range t.entry.refs {
		state, exists, watched := t.Pool.Get(ref)
		if !watched || !exists || !state.Unhealthy() {
			continue
		}
		one := ailing{ref, health.Verdict{State: health.State(state.Health.State), Reason: state.Health.Reason, Message: state.Health.Message}}
		if one.verdict.State == health.Degraded {
			bad = append(bad, one)
		} else {
			waiting = append(waiting, one)
		}
	}
	return append(bad, waiting...)
}

// driftEvent tells of drift. What somebody keeps changing is put back more and more seldom.
func (t *task) driftEvent(drifted []kube.Ref) lifecycle.Event {
	subjects := make([]subject, len(drifted))
	for i, ref := range drifted {
		subjects[i] = subject(ref)
	}
	if t.m.Spec.Paused {
		t.news = &news{reason: reasonDrifted, ready: true, message: list(subjects) + " differs from what was installed, and is left so: the module is paused"}
	} else if left := t.entry.driftAt.Add(t.entry.driftPause).Sub(t.now); left > 0 {
		t.news = &news{
			reason: reasonDrifted, ready: true,
			message: list(subjects) + " is changed by somebody again and again, and put back at " + t.now.Add(left).UTC().Format(time.TimeOnly) + " UTC",
		}
		if t.entry.driftProblem != nil {
			t.news = t.entry.driftProblem
		}
		t.again(left)
		return ""
	}
	if t.decided[lifecycle.Drifted] {
		if t.entry.driftProblem != nil {
			t.news = t.entry.driftProblem
			t.again(t.entry.driftPause)
		}
		return ""
	}
	return lifecycle.Drifted
}

// subject is a reference as people write it.
type subject kube.Ref

func (s subject) String() string { return kube.Ref(s).Subject() }
