package upgrade

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// tooManyRestarts is when a container that ends again and again is taken for broken.
const tooManyRestarts = 3

// pods lists the pods of a slot.
func (d *Driver) pods(ctx context.Context, slot v1alpha1.AgentSlot) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := d.opts.Client.List(ctx, &pods, client.InNamespace(d.opts.Namespace), client.MatchingLabels{SlotLabel: string(slot)}); err != nil {
		return nil, fmt.Errorf("list the pods of slot %s: %w", slot, err)
	}
	return pods.Items, nil
}

// newCrashes is a failedError if the new slot's pods end again and again; what else is wrong with them may still pass, and is noted.
func (a *attempt) newCrashes(ctx context.Context) error {
	pods, err := a.pods(ctx, a.u.Spec.To.Slot)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if status.RestartCount >= tooManyRestarts && !status.Ready {
				why := ""
				if last := status.LastTerminationState.Terminated; last != nil {
					why = fmt.Sprintf(", the last time with code %d (%s)", last.ExitCode, last.Reason)
				}
				return failf(crashes, "pod %s ended %d times%s", pod.Name, status.RestartCount, why)
			}
			if wait := status.State.Waiting; wait != nil {
				a.waits = fmt.Sprintf("pod %s: %s: %s", pod.Name, wait.Reason, tail(wait.Message))
			}
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				a.waits = fmt.Sprintf("pod %s isn't scheduled: %s", pod.Name, c.Message)
			}
		}
	}
	return nil
}
