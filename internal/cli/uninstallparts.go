package cli

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// refuseServed refuses to take out an agent beside which pods serve delivery: they would go on without it, put finalizers back, and take the
// deletion of Kustomizations for that of what these delivered.
func (c *cluster) refuseServed(ctx context.Context) error {
	var all appsv1.DeploymentList
	if err := c.List(ctx, &all, client.InNamespace(deploy.Namespace)); err != nil {
		return fmt.Errorf("look for who serves delivery beside the agent: %w", err)
	}
	for _, d := range all.Items {
		if !slices.ContainsFunc(d.Spec.Template.Spec.Containers, servesDelivery) {
			continue
		}
		way := fmt.Sprintf("'kubectl delete deployment -n %s %s'", d.Namespace, d.Name)
		if module := d.Labels[attempt.OwnerLabel]; module != "" {
			way = "'slipway module uninstall " + module + "'"
		}
		return fmt.Errorf("delivery is served by Deployment %s/%s, which would go on without the agent: take it out first, with %s; nothing was changed", d.Namespace, d.Name, way)
	}
	return nil
}

func servesDelivery(c corev1.Container) bool {
	const flag = "--serve"
	at := slices.Index(c.Args, flag)
	return slices.Contains(c.Args, flag+"="+v1alpha1.BuiltinDelivery) || at >= 0 && at+1 < len(c.Args) && c.Args[at+1] == v1alpha1.BuiltinDelivery
}
