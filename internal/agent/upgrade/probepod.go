package upgrade

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/probe"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

const (
	// ProbeFlag has the agent's command run a probe instead, with all other arguments as they are.
	ProbeFlag = "--probe"
	// probeSlot is the label of the probe's pod, which is in no slot: it stands beside both.
	probeSlot = "probe"
)

func (n Names) probe() string { return n.Agent + "-probe" }

// probePod names the pod of the probe. There is one at most.
func (a *attempt) probePod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: a.opts.Namespace, Name: a.opts.Name.probe()}}
}

// runProbe runs the pod of the probe and reads its result. A probe that has failed is a failedError.
func (a *attempt) runProbe(ctx context.Context) (done bool, err error) {
	pod := a.probePod()
	err = a.opts.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
	switch {
	case apierrors.IsNotFound(err):
		return false, a.makeProbe(ctx)
	case err != nil:
		return false, fmt.Errorf("read the probe's pod: %w", err)
	case !metav1.IsControlledBy(pod, a.u):
		err := a.opts.Client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID}, client.GracePeriodSeconds(0))
		return false, ifNotConflict(client.IgnoreNotFound(err))
	}
	report, ended := a.reportOf(pod)
	a.probe = report.Checks
	switch {
	case !ended:
		a.waits = report.Failures()
		return false, nil
	case !report.Passed():
		return false, failf(probeFailed, "the new agent can't work here: %s", report.Failures())
	}
	return true, nil
}

func (a *attempt) makeProbe(ctx context.Context) error {
	old, err := a.slot(ctx, a.u.Spec.From.Slot)
	if err != nil {
		return err
	}
	if old == nil {
		return failf(oldMissing, "slot %s isn't there, so there is nothing to make a probe of", a.u.Spec.From.Slot)
	}
	template := a.podOf(old, a.u.Spec.To, probeSlot)
	pod := a.probePod()
	pod.Labels, pod.Annotations, pod.Spec = template.Labels, template.Annotations, template.Spec
	term.Stamp(pod, a.holder.Term)
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(a.u, v1alpha1.GroupVersion.WithKind(v1alpha1.AgentUpgradeKind))}
	asProbe(&pod.Spec, a.opts.Name.Container, a.limit(a.state()))
	if err := a.opts.Client.Create(ctx, pod); err != nil && !apierrors.IsAlreadyExists(err) {
		if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
			return failf(probeRefused, "no probe can run here: %v", err)
		}
		return fmt.Errorf("make the probe's pod: %w", err)
	}
	a.wrote = true
	return nil
}

// asProbe makes of the agent's pod one that tries and ends. The service account, the settings, the volumes and the network's labels are the
// agent's; its readiness probe stays, which nobody answers: so no Service leads to it.
func asProbe(spec *corev1.PodSpec, container string, limit time.Duration) {
	var only []corev1.Container
	for _, c := range spec.Containers {
		if c.Name == container {
			c.Args = append(c.Args, ProbeFlag)
			c.LivenessProbe, c.StartupProbe, c.Lifecycle = nil, nil, nil
			c.TerminationMessagePath, c.TerminationMessagePolicy = corev1.TerminationMessagePathDefault, corev1.TerminationMessageFallbackToLogsOnError
			only = append(only, c)
		}
	}
	spec.Containers, spec.InitContainers = only, nil
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.ActiveDeadlineSeconds = new(int64(max(limit.Seconds(), 1)))
	spec.TerminationGracePeriodSeconds = new(int64(5))
	spec.Affinity, spec.TopologySpreadConstraints = nil, nil
}

// reportOf reads what the probe's pod has found. ended says whether there will be more.
func (a *attempt) reportOf(pod *corev1.Pod) (r probe.Report, ended bool) {
	failed := func(format string, args ...any) probe.Report {
		return probe.Report{Checks: []v1alpha1.AgentCheck{{Name: probe.Started, At: a.now(), Message: fmt.Sprintf(format, args...)}}}
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name != a.opts.Name.Container {
			continue
		}
		switch {
		case status.State.Terminated != nil:
			end := status.State.Terminated
			report, err := probe.Parse(end.Message)
			if err != nil {
				return failed("it ended with code %d (%s): %s", end.ExitCode, end.Reason, tail(end.Message)), true
			}
			return report, true
		case status.State.Waiting != nil:
			wait := status.State.Waiting
			return failed("%s: %s", wait.Reason, tail(wait.Message)), pod.Status.Phase == corev1.PodFailed
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return failed("the pod failed: %s %s", pod.Status.Reason, pod.Status.Message), true
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return failed("the pod isn't scheduled: %s", c.Message), false
		}
	}
	return failed("the pod hasn't ended yet"), false
}

// tail is the end of a text that may be long, in one line.
func tail(text string) string {
	const most = 1000
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return "…" + strings.ToValidUTF8(text[len(text)-most:], "") // not from within a letter
	}
	return text
}
