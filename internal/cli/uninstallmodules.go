package cli

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/attempt"
)

// releaseModules takes the agent's finalizer from all Modules, so that they can be deleted without an agent. It reports whether there are any:
// what their revisions hold is in the agent's namespace, and an agent that comes later needs it.
func (a *App) releaseModules(ctx context.Context, c *cluster) (any bool, err error) {
	var all v1alpha1.ModuleList
	err = c.List(ctx, &all)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("list Modules: %w", err)
	}
	for i := range all.Items {
		m := &all.Items[i]
		before := m.DeepCopy()
		if !controllerutil.RemoveFinalizer(m, attempt.Finalizer) {
			continue
		}
		if err := c.Patch(ctx, m, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("release Module %s: %w", m.Name, err)
		}
	}
	return len(all.Items) > 0, nil
}
