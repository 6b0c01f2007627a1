package builtin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// reasonDeleted is of an attempt whose AgentUpgrade a person deleted.
const reasonDeleted = "Deleted"

// phaseOf is the phase of a module whose AgentUpgrade is under way. Preparing is none of them: then there is no AgentUpgrade yet.
func phaseOf(u *v1alpha1.AgentUpgrade) v1alpha1.ModulePhase {
	switch u.Status.Phase {
	case v1alpha1.AgentUpgradeProving:
		return v1alpha1.PhaseSoaking
	case v1alpha1.AgentUpgradeCommitting:
		return v1alpha1.PhaseCommitting
	case v1alpha1.AgentUpgradeTakingBack:
		return v1alpha1.PhaseRollingBack
	}
	return v1alpha1.PhaseApplying
}

// underWay is the attempt that is, whoever has begun it: of several that wait the oldest.
func underWay(all []v1alpha1.AgentUpgrade) *v1alpha1.AgentUpgrade {
	var found []*v1alpha1.AgentUpgrade
	for i := range all {
		if !all[i].Status.Phase.Ended() {
			found = append(found, &all[i])
		}
	}
	if len(found) == 0 {
		return nil
	}
	pending := func(u *v1alpha1.AgentUpgrade) int {
		if u.Status.Phase == "" || u.Status.Phase == v1alpha1.AgentUpgradePending {
			return 1
		}
		return 0
	}
	return slices.MinFunc(found, func(a, b *v1alpha1.AgentUpgrade) int {
		return cmp.Or(cmp.Compare(pending(a), pending(b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

// mirror says of a module what its AgentUpgrade says.
func (t *task) mirror(ctx context.Context, u *v1alpha1.AgentUpgrade) (time.Duration, error) {
	s, phase := &t.m.Status, phaseOf(u)
	unheeded, err := t.askBack(ctx, u)
	if err != nil {
		return 0, err
	}
	if from := digestOf(u.Spec.From.Image); s.Current == nil || s.Current.Digest != from { // until the new one is committed
		s.Current = &v1alpha1.RevisionReference{Version: u.Spec.From.Version, Digest: from}
	}
	target := v1alpha1.RevisionReference{Version: u.Spec.To.Version, Digest: digestOf(u.Spec.To.Image), Revision: u.Name}
	t.aim(target)
	a := s.Attempt
	if a == nil || a.Target.Revision != u.Name {
		a = &v1alpha1.Attempt{Target: target, Generation: t.m.Generation, Began: u.CreationTimestamp}
		s.Attempt = a
	}
	since := u.Status.PhaseSince
	if since == nil {
		since = &u.CreationTimestamp
	}
	a.Deadline, a.SoakBegan, a.CommitBegan, a.Failure = *since, nil, nil, u.Status.Failure.DeepCopy()
	if u.Status.Deadline != nil {
		a.Deadline = *u.Status.Deadline
	}
	switch phase {
	case v1alpha1.PhaseSoaking:
		a.SoakBegan = since
	case v1alpha1.PhaseCommitting:
		a.CommitBegan = since
	}
	message := "waits for the agent to look at it"
	if ready := apimeta.FindStatusCondition(u.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		message = ready.Message
	}
	message = fmt.Sprintf("AgentUpgrade %s is %s: %s", u.Name, cmp.Or(u.Status.Phase, v1alpha1.AgentUpgradePending), message)
	if unheeded != "" {
		message += ". The annotation " + v1alpha1.RollbackAnnotation + " isn't heeded: " + unheeded
	}
	return watching, t.settle(ctx, phase, words{reason: string(phase), reconciling: true, message: message})
}

// askBack asks for an attempt to be taken back, if the Module says so. It returns why not, if whoever wrote that was asked by nobody.
func (t *task) askBack(ctx context.Context, u *v1alpha1.AgentUpgrade) (unheeded string, err error) {
	is := string(digestOf(u.Spec.To.Image))
	if t.m.Annotations[v1alpha1.RollbackAnnotation] != is || u.Annotations[v1alpha1.RollbackAnnotation] == is {
		return "", nil
	}
	if unheeded, err = t.unguarded(ctx); unheeded != "" || err != nil {
		return unheeded, err
	}
	return "", t.Agent.AskBack(ctx, u)
}

// conclude says what became of the attempt in the status, of which nothing is under way. begun says that it was only about to begin, and has
// now.
func (t *task) conclude(ctx context.Context, state State) (begun bool, err error) {
	s := &t.m.Status
	a := s.Attempt
	at := slices.IndexFunc(state.Attempts, func(u v1alpha1.AgentUpgrade) bool { return u.Name == a.Target.Revision })
	if at < 0 && s.Phase == v1alpha1.PhasePreparing {
		problem, err := t.unguarded(ctx)
		if err != nil {
			return false, err
		}
		if problem == "" {
			return t.write(ctx, state)
		}
		s.Attempt = nil // nothing has begun; the next look says why
		return false, nil
	}
	s.Attempt = nil
	if at < 0 {
		t.reject(a, v1alpha1.Failure{Reason: reasonDeleted, Message: fmt.Sprintf("AgentUpgrade %s was deleted", a.Target.Revision), At: t.now})
		return false, nil
	}
	switch u := &state.Attempts[at]; u.Status.Phase {
	case v1alpha1.AgentUpgradeCommitted:
		s.Rejected = slices.DeleteFunc(s.Rejected, func(r v1alpha1.Rejection) bool { return r.Digest == a.Target.Digest })
	case v1alpha1.AgentUpgradeTakenBack, v1alpha1.AgentUpgradeRefused:
		t.reject(a, failureOf(u))
	}
	return false, nil
}

func failureOf(u *v1alpha1.AgentUpgrade) v1alpha1.Failure {
	if u.Status.Failure != nil {
		return *u.Status.Failure
	}
	return v1alpha1.Failure{Reason: string(u.Status.Phase), Message: "AgentUpgrade " + u.Name + " doesn't say why"}
}

func (t *task) reject(a *v1alpha1.Attempt, why v1alpha1.Failure) {
	attempt.Reject(&t.m.Status, v1alpha1.Rejection{Failure: why, Digest: a.Target.Digest, Version: a.Target.Version, Generation: a.Generation})
}

// rejection is why a digest failed last, nil if it didn't, or worked since: by the AgentUpgrades for it, and by what the status remembers of
// those that aren't there any more.
func (t *task) rejection(state State, digest v1alpha1.Digest) *v1alpha1.Failure {
	var last *v1alpha1.Failure
	var at time.Time
	for _, r := range t.m.Status.Rejected {
		if r.Digest == digest {
			last, at = r.Failure.DeepCopy(), r.At.Time
		}
	}
	for i := range state.Attempts {
		u := &state.Attempts[i]
		since := u.Status.PhaseSince
		if digestOf(u.Spec.To.Image) != digest || !u.Status.Phase.Ended() || u.Status.Phase == v1alpha1.AgentUpgradeAdvised || since == nil || since.Time.Before(at) {
			continue
		}
		last, at = nil, since.Time
		if u.Status.Phase != v1alpha1.AgentUpgradeCommitted {
			last = new(failureOf(u))
		}
	}
	return last
}

// nameOf is the name of the next attempt for a digest, which no other one has.
func nameOf(all []v1alpha1.AgentUpgrade, digest v1alpha1.Digest) string {
	const shown = 12
	prefix := "agent-" + strings.TrimPrefix(string(digest), "sha256:")[:shown] + "-"
	next := 1
	for _, u := range all {
		number, ours := strings.CutPrefix(u.Name, prefix)
		if n, err := strconv.Atoi(number); ours && err == nil {
			next = max(next, n+1)
		}
	}
	return prefix + strconv.Itoa(next)
}
