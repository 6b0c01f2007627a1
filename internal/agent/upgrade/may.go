package upgrade

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/kube"
)

// OffEnv switches self-upgrade off in an agent where it is "off".
const OffEnv = "SLIPWAY_SELF_UPGRADE"

// mayBegin finds whether an attempt may begin.
func (a *attempt) mayBegin(ctx context.Context, facts protocol.Facts) (protocol.Facts, error) {
	old, err := a.slot(ctx, a.u.Spec.From.Slot)
	if err != nil {
		return facts, err
	}
	if a.u.Spec.Mode == v1alpha1.AgentUpgradeAdvise || old != nil && kube.KeeperOf(old) != (kube.Keeper{}) { // who would undo an upgrade, or be undone by it
		facts.Advised = true
		return facts, nil
	}
	if a.failure, err = a.unfit(ctx, old); err != nil {
		return facts, err
	}
	facts.Unfit = a.failure != nil
	return facts, nil
}

// unfit says why an attempt must not begin.
func (a *attempt) unfit(ctx context.Context, old *appsv1.StatefulSet) (*v1alpha1.Failure, error) {
	from, to := a.u.Spec.From, a.u.Spec.To
	switch {
	case a.opts.Off:
		return a.fail(switchedOff, "self-upgrade is switched off here ("+OffEnv+"=off): upgrade with 'slipway install'"), nil
	case !a.opts.Elects:
		return a.fail(noElection, "this agent elects no leader (--leader-elect=false), so two of them would work at once: set LEADER_ELECT=true, or upgrade with 'slipway install'"), nil
	case old == nil:
		return a.fail(notWhatRuns, fmt.Sprintf("slot %s isn't there", from.Slot)), nil
	}
	runs, err := a.runsImage(ctx, old, from)
	if err != nil {
		return nil, err
	}
	if !runs {
		return a.fail(notWhatRuns, fmt.Sprintf("slot %s doesn't run %s but %s", from.Slot, from.Image, a.imageOf(old.Spec.Template.Spec))), nil
	}
	if a.u.Annotations[v1alpha1.RetryAnnotation] == digestOf(to.Image) {
		return nil, nil
	}
	all, err := a.Attempts(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at earlier attempts: %w", err)
	}
	if last := lastWith(all, digestOf(to.Image)); last != nil && last.Status.Phase != protocol.Committed {
		return a.fail(rejected, fmt.Sprintf("this image failed before, in %s; annotate with %s=%s to try it again", last.Name, v1alpha1.RetryAnnotation, digestOf(to.Image))), nil
	}
	return nil, nil
}

// lastWith finds the last attempt with an image that says something about the image: it worked, or it failed.
func lastWith(all []v1alpha1.AgentUpgrade, digest string) (last *v1alpha1.AgentUpgrade) {
	for i := range all {
		u := &all[i]
		if digestOf(u.Spec.To.Image) != digest || u.Status.Phase != protocol.Committed && !rejects(u) {
			continue
		}
		if last == nil || last.Status.PhaseSince.Before(u.Status.PhaseSince) {
			last = u
		}
	}
	return last
}

// runsImage says whether a slot runs an image: its template names it, or one of its pods says that it has its digest.
func (a *attempt) runsImage(ctx context.Context, s *appsv1.StatefulSet, build v1alpha1.AgentBuild) (bool, error) {
	named := a.imageOf(s.Spec.Template.Spec)
	if digestOf(named) != "" {
		return digestOf(named) == digestOf(build.Image), nil
	}
	pods, err := a.pods(ctx, build.Slot)
	if err != nil {
		return false, err
	}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if status.Name == a.opts.Name.Container && digestOf(status.ImageID) == digestOf(build.Image) {
				return true, nil
			}
		}
	}
	return false, nil
}

// digestOf is what an image's name says after the "@"; empty if it has no digest.
func digestOf(image string) string {
	_, _, digest := kube.SplitImage(image)
	return digest
}
