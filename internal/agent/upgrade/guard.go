package upgrade

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// guardCommand is what the guard runs instead of the agent.
func guardCommand(u *v1alpha1.AgentUpgrade) []string {
	return []string{"agent", "guard", "--slot=" + string(u.Spec.From.Slot)}
}

func (n Names) guard() string { return n.Agent + "-guard" }

func (a *attempt) guardMeta() *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: a.opts.Namespace, Name: a.opts.Name.guard()}}
}

// startGuard starts a small pod of the old image that takes back if the new agent fails, and waits until it runs. It is a Deployment, so
// that it moves to another node if its own is lost.
func (a *attempt) startGuard(ctx context.Context) (done bool, err error) {
	guard := a.guardMeta()
	err = a.opts.Client.Get(ctx, client.ObjectKeyFromObject(guard), guard)
	switch {
	case apierrors.IsNotFound(err):
		return false, a.makeGuard(ctx)
	case err != nil:
		return false, fmt.Errorf("read the guard: %w", err)
	case !metav1.IsControlledBy(guard, a.u):
		err := a.opts.Client.Delete(ctx, guard, client.Preconditions{UID: &guard.UID}, client.PropagationPolicy("Background"))
		return false, ifNotConflict(client.IgnoreNotFound(err))
	}
	a.waits = "the guard isn't ready yet"
	return guard.Status.AvailableReplicas > 0 && guard.Status.ObservedGeneration >= guard.Generation, nil
}

func (a *attempt) makeGuard(ctx context.Context) error {
	old, err := a.slot(ctx, a.u.Spec.From.Slot)
	if err != nil {
		return err
	}
	if old == nil {
		return failf(oldMissing, "slot %s isn't there, so there is nothing to make a guard of", a.u.Spec.From.Slot)
	}
	const slot = "guard"
	guard := a.guardMeta()
	labels := map[string]string{"app.kubernetes.io/name": guard.Name, SlotLabel: slot}
	for key, value := range old.Labels {
		if _, ours := labels[key]; !ours {
			labels[key] = value
		}
	}
	template := a.podOf(old, a.u.Spec.From, slot)
	template.Labels = labels
	asGuard(&template.Spec, a.opts.Name.Container, guardCommand(a.u))
	guard.Labels = labels
	term.Stamp(guard, a.holder.Term)
	guard.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(a.u, v1alpha1.GroupVersion.WithKind(v1alpha1.AgentUpgradeKind))}
	guard.Spec = appsv1.DeploymentSpec{
		Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{SlotLabel: slot}}, Template: template,
	}
	if err := a.opts.Client.Create(ctx, guard); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the guard: %w", err)
	}
	return nil
}

// asGuard makes of the agent's pod one that needs next to nothing.
func asGuard(spec *corev1.PodSpec, container string, command []string) {
	var only []corev1.Container
	for _, c := range spec.Containers {
		if c.Name == container {
			c.Args, c.EnvFrom, c.Ports = command, nil, nil
			c.LivenessProbe, c.ReadinessProbe, c.StartupProbe, c.Lifecycle = nil, nil, nil, nil
			c.Resources = corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5m"), corev1.ResourceMemory: resource.MustParse("24Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
			}
			only = append(only, c)
		}
	}
	spec.Containers, spec.InitContainers = only, nil
	spec.Affinity, spec.TopologySpreadConstraints = nil, nil
}
