package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func newSuspend(app *App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "suspend KIND NAME",
		Short: "Stop following Git for an object, and leave what runs alone",
		Long: `Set spec.suspend of a source or a Kustomization: the controller fetches and applies nothing for it any more, and
corrects no drift, until it is resumed. What runs in the cluster stays as it is.`,
		Example: `  slipway suspend kustomization shop

  # All Kustomizations of the namespace
  slipway suspend ks --all -n team-a`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: completeSelection(app),
	}
	cmd.Flags().BoolVar(&all, "all", false, "suspend all of the kind in the namespace")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return app.eachChosen(cmd.Context(), args, all, func(ctx context.Context, c *cluster, k kind, obj delivered) error {
			return app.suspend(ctx, c, k, obj)
		})
	}
	return cmd
}

func newResume(app *App) *cobra.Command {
	var (
		all     bool
		noWait  bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "resume KIND NAME",
		Short: "Follow Git again for a suspended object",
		Long: `Unset spec.suspend of a source or a Kustomization, ask the controller to reconcile it, and follow it until it has
done so.`,
		Example: `  slipway resume kustomization shop

  # All sources of the namespace, without waiting
  slipway resume source --all --no-wait`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: completeSelection(app),
	}
	cmd.Flags().BoolVar(&all, "all", false, "resume all of the kind in the namespace")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "don't wait for the controller")
	cmd.Flags().DurationVar(&timeout, "timeout", reconcilePatience, "how long to wait for the controller")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		return app.eachChosen(ctx, args, all, func(ctx context.Context, c *cluster, k kind, obj delivered) error {
			return app.resume(ctx, c, k, obj, !noWait)
		})
	}
	return cmd
}

// eachChosen calls do for the object that args name, or for all of the kind in the namespace.
func (a *App) eachChosen(
	ctx context.Context, args []string, all bool, do func(context.Context, *cluster, kind, delivered) error,
) error {
	sel, err := selected(args)
	switch {
	case err != nil:
		return err
	case all && sel.name != "":
		return usagef("--all takes the kind alone, without a name")
	case !all && sel.name == "":
		return errNoName(args)
	}
	if len(sel.kinds) == 1 {
		if err := sel.kinds[0].mayReconcile(); err != nil {
			return err
		}
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	found, err := c.collect(ctx, sel, false)
	if err != nil {
		return err
	}
	count := 0
	for _, part := range found {
		if all && part.suspended == nil {
			continue
		}
		if err := part.mayReconcile(); err != nil {
			return err
		}
		for _, obj := range part.items {
			if err := do(ctx, c, part.kind, obj); err != nil {
				return err
			}
			count++
		}
	}
	if count == 0 {
		a.warnf("namespace %q has no %s", c.namespace, sel.words())
	}
	return nil
}

func (a *App) suspend(ctx context.Context, c *cluster, k kind, obj delivered) error {
	if k.isSuspended(obj) {
		a.donef("%s %s/%s is suspended already", k.name, obj.GetNamespace(), obj.GetName())
		return nil
	}
	before := obj.DeepCopyObject().(client.Object)
	*k.suspended(obj) = true
	if err := c.Patch(ctx, obj, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("suspend %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	a.donef("%s %s/%s suspended", k.name, obj.GetNamespace(), obj.GetName())
	return nil
}

func (a *App) resume(ctx context.Context, c *cluster, k kind, obj delivered, wait bool) error {
	if !k.isSuspended(obj) {
		a.donef("%s %s/%s isn't suspended", k.name, obj.GetNamespace(), obj.GetName())
		return nil
	}
	request, err := a.request(ctx, c, obj, func() { *k.suspended(obj) = false })
	if err != nil {
		return err
	}
	a.donef("%s %s/%s resumed", k.name, obj.GetNamespace(), obj.GetName())
	if !wait {
		return nil
	}
	return a.follow(ctx, c, k, obj, request)
}
