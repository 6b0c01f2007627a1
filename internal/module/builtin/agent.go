package builtin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/supply"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// Agent is the agent of this cluster, as far as it can be replaced.
type Agent interface {
	// State says how it is.
	State(ctx context.Context) (State, error)
	// Begin writes an AgentUpgrade of that name; one that is there already is left as it is. A *Refused won't ever be carried out.
	Begin(ctx context.Context, b Beginning) error
	// AskBack asks for an attempt to be taken back.
	AskBack(ctx context.Context, u *v1alpha1.AgentUpgrade) error
}

// State is how the agent is.
type State struct {
	// Running is what works.
	Running v1alpha1.AgentBuild
	// Attempts are all that the cluster has.
	Attempts []v1alpha1.AgentUpgrade
	// Advises says why it can't replace itself, with what to do; empty: it can.
	Advises string
}

// Beginning is an attempt that is to begin.
type Beginning struct {
	// Name of the AgentUpgrade.
	Name string
	// Version and Image, which has its digest, of the new agent.
	Version, Image string
	// Retry says that a person wants it tried again.
	Retry bool
}

// Refused says that an attempt can't be meant.
type Refused struct{ Err error }

// Error says why.
func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refused) Unwrap() error { return r.Err }

// Images says which version of the agent's image is wanted; supply.Shelf does. An error that may be gone later is a *plan.Unavailable.
type Images interface {
	Image(ctx context.Context, m *v1alpha1.Module, image string, current v1alpha1.RevisionReference) (supply.ImageChoice, error)
}

// watching is the pause between two looks at an attempt that is under way.
const watching = 2 * time.Second

// agent says how the agent is, and has it upgraded.
func (t *task) agent(ctx context.Context) (time.Duration, error) {
	if t.Agent == nil {
		t.m.Status.Current, t.m.Status.Target, t.m.Status.Plan = nil, nil, nil
		return 0, t.settle(ctx, v1alpha1.PhaseBlocked, words{reason: reasonAdvised, stalled: true, message: "this agent (" + t.Version +
			") has no place in its cluster (--slot), so it can't replace itself: upgrade it as it was installed, or with 'slipway install'"})
	}
	state, err := t.Agent.State(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the agent: %w", err)
	}
	if u := underWay(state.Attempts); u != nil {
		return t.mirror(ctx, u)
	}
	current := t.reference(state.Running)
	t.m.Status.Current = &current
	if t.m.Status.Attempt != nil {
		begun, err := t.conclude(ctx, state)
		if begun || err != nil {
			return watching, err
		}
	}
	return t.look(ctx, state)
}

// reference is what a build is to a Module. A build that was named by its digest alone has the version that this process has: it is this one.
func (t *task) reference(b v1alpha1.AgentBuild) v1alpha1.RevisionReference {
	version := b.Version
	if !wanted.IsVersion(version) && wanted.IsVersion(t.Version) {
		version = t.Version
	}
	return v1alpha1.RevisionReference{Version: version, Digest: digestOf(b.Image)}
}

// digestOf is what an image's name says after the "@".
func digestOf(image string) v1alpha1.Digest {
	_, _, digest := kube.SplitImage(image)
	return v1alpha1.Digest(digest)
}

// askWithin bounds how long the registry and the catalogue have to answer: what is under way is not to wait for them.
const askWithin = time.Minute

// look finds which version is wanted, and begins what may begin.
func (t *task) look(ctx context.Context, state State) (time.Duration, error) {
	s := &t.m.Status
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	choice, err := t.Images.Image(within, t.m, state.Running.Image, *s.Current)
	var away *plan.Unavailable
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil && within.Err() != nil:
		err = &plan.Unavailable{Err: fmt.Errorf("the registry gives no answer in %s: %w", askWithin, err)}
	}
	switch {
	case errors.As(err, &away):
		t.entry.tries++
		return attempt.RetryAfter(t.entry.tries, t.interval(), t.Now().Sub(t.now.Time)), t.unanswered(ctx, state, away)
	case errors.Is(err, plan.ErrUntrusted):
		t.entry.tries = 0
		return t.interval(), t.blocked(ctx, state, plan.CheckVerify, err.Error())
	case err != nil:
		t.entry.tries = 0
		return t.interval(), t.blocked(ctx, state, plan.CheckResolve, err.Error())
	}
	t.entry.tries = 0
	if choice.Digest == "" || choice.Digest == s.Current.Digest {
		s.Target, s.Plan = nil, nil
		return t.interval(), t.settle(ctx, v1alpha1.PhaseInstalled, words{
			reason: string(v1alpha1.PhaseInstalled), ready: true, message: runs(state, s.Current) + "; " + choice.Why,
		})
	}
	return t.lead(ctx, state, choice)
}

// lead leads to another version, or says why that doesn't begin.
func (t *task) lead(ctx context.Context, state State, choice supply.ImageChoice) (time.Duration, error) {
	s := &t.m.Status
	t.aim(v1alpha1.RevisionReference{Version: choice.Version, Digest: choice.Digest})
	if state.Advises != "" {
		s.Plan.WaitsFor = []string{state.Advises}
		return t.interval(), t.settle(ctx, v1alpha1.PhasePlanned, words{
			reason: reasonAdvised, stalled: true, message: fmt.Sprintf("%s, and %s is there, which is only advised: %s", runs(state, s.Current), choice.Version, state.Advises),
		})
	}
	retry := t.m.Annotations[v1alpha1.RetryAnnotation] == string(choice.Digest)
	if why := t.rejection(state, choice.Digest); why != nil && !retry {
		return t.interval(), t.settle(ctx, v1alpha1.PhaseRolledBack, words{reason: string(v1alpha1.PhaseRolledBack), stalled: true, message: t.rolledBack(state, why)})
	}
	problem, err := t.unguarded(ctx)
	if err != nil {
		return 0, err
	}
	if problem != "" {
		return t.interval(), t.blocked(ctx, state, plan.CheckPermissions, problem)
	}
	permit := t.may(choice)
	if !permit.MayStart {
		return t.wait(ctx, state, choice, permit)
	}
	return t.begin(ctx, state)
}

// unguarded says why nobody can tell whether who wrote the Module may have the agent replaced; empty: they may. It is asked before each thing
// that the Module has done, whatever was found before: a process may have ended since, and what guards the Module may be gone.
func (t *task) unguarded(ctx context.Context) (problem string, err error) {
	if t.Guarded == nil {
		return "", nil
	}
	return t.Guarded(ctx, t.m)
}

// begin writes the intention, and then the AgentUpgrade.
func (t *task) begin(ctx context.Context, state State) (time.Duration, error) {
	s := &t.m.Status
	target := *s.Target
	target.Revision = nameOf(state.Attempts, target.Digest)
	s.Target = &target
	s.Attempt = &v1alpha1.Attempt{Target: target, Generation: t.m.Generation, Began: t.now, Deadline: t.now}
	if err := t.settle(ctx, v1alpha1.PhasePreparing, words{
		reason: string(v1alpha1.PhasePreparing), reconciling: true, message: fmt.Sprintf("%s; writing AgentUpgrade %s for %s", runs(state, s.Current), target.Revision, target.Version),
	}); err != nil {
		return 0, err
	}
	_, err := t.write(ctx, state)
	return watching, err
}

// write writes the AgentUpgrade that the status says. It may be written already.
func (t *task) write(ctx context.Context, state State) (begun bool, err error) {
	if err := t.heed(ctx); err != nil {
		return false, err
	}
	target := t.m.Status.Attempt.Target
	repository, _, _ := kube.SplitImage(state.Running.Image)
	err = t.Agent.Begin(ctx, Beginning{
		Name: target.Revision, Version: target.Version, Image: repository + "@" + string(target.Digest),
		Retry: t.rejection(state, target.Digest) != nil, // nobody would have begun without a person's word
	})
	var refused *Refused
	if errors.As(err, &refused) {
		t.m.Status.Attempt = nil
		return false, t.blocked(ctx, state, plan.CheckResolve, refused.Error())
	}
	if err != nil {
		return false, fmt.Errorf("begin the agent's upgrade: %w", err)
	}
	return true, nil
}

// heed takes away what a person has said about earlier attempts: it is about none that is to come.
func (t *task) heed(ctx context.Context) error {
	want := t.m.DeepCopy()
	for _, key := range []string{v1alpha1.RetryAnnotation, v1alpha1.RollbackAnnotation, v1alpha1.ForceAnnotation} {
		delete(want.Annotations, key)
	}
	if len(want.Annotations) == len(t.m.Annotations) {
		return nil
	}
	if err := kube.PatchMetadata(ctx, t.Direct, t.m, want, fieldOwner); err != nil {
		return fmt.Errorf("take away annotations that were heeded: %w", err)
	}
	t.m, t.before = want, want.DeepCopy()
	t.entry.written.Is(want, want.ResourceVersion)
	return nil
}

func (t *task) interval() time.Duration { return attempt.Interval(t.m) }
