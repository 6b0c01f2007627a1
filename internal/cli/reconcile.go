package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// reconcilePatience is how long a verb waits for a controller by default. It is as long as a Kustomization's usual timeout.
const reconcilePatience = 5 * time.Minute

func newReconcile(app *App) *cobra.Command {
	var (
		withSource bool
		timeout    time.Duration
	)
	cmd := &cobra.Command{
		Use:   "reconcile KIND NAME",
		Short: "Fetch or apply now instead of at the next interval",
		Long: `Ask the controller to fetch a source or to apply a Kustomization now, and follow it until it has done so.

It ends with 0 when the object is ready, and with 1 and the controller's reason when it failed or when the
timeout is over. A suspended object isn't reconciled; resume it first. What the controller says meanwhile goes to stderr.

KIND is what 'slipway get' takes: kustomization (ks), gitrepository (git), ocirepository (oci), bucket, or source for
the source of that name, of whichever kind.`,
		Example: `  # Fetch the branch now
  slipway reconcile source shop

  # Fetch, then apply what was fetched
  slipway reconcile kustomization shop --with-source

  # The flux CLI's way to say it works too
  slipway reconcile source git shop
  slipway reconcile source oci manifests`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: completeSelection(app),
	}
	cmd.Flags().BoolVar(&withSource, "with-source", false, "reconcile the Kustomization's source first")
	cmd.Flags().DurationVar(&timeout, "timeout", reconcilePatience, "how long to wait for the controller")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sel, err := selectedOne(args)
		if err != nil {
			return err
		}
		if withSource && sel.kinds[0].sourceAs != "" {
			return usagef("--with-source is for Kustomizations only: a %s is a source itself", sel.kinds[0].name)
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		if withSource {
			if err := app.reconcileSourceOf(ctx, c, c.namespace, sel.name); err != nil {
				return err
			}
		}
		k, obj, err := c.find(ctx, sel)
		if err != nil {
			return err
		}
		return app.reconcile(ctx, c, k, obj)
	}
	return cmd
}

// reconcileSourceOf reconciles the source of one Kustomization.
func (a *App) reconcileSourceOf(ctx context.Context, c *cluster, namespace, name string) error {
	obj, err := c.get(ctx, kustomizationKind(), namespace, name)
	if err != nil {
		return err
	}
	ref := obj.(*kustomizev1.Kustomization).Spec.SourceRef
	k, ok := kindOf(ref.Kind)
	if !ok {
		return fmt.Errorf("the source of Kustomization %q is a %s, which nobody here knows; reconcile it with the tool that made it", name, ref.Kind)
	}
	if obj, err = c.get(ctx, k, cmp.Or(ref.Namespace, namespace), ref.Name); err != nil {
		return err
	}
	return a.reconcile(ctx, c, k, obj)
}

// reconcile requests a reconciliation of one object and follows it to its end.
func (a *App) reconcile(ctx context.Context, c *cluster, k kind, obj delivered) error {
	if err := k.mayReconcile(); err != nil {
		return err
	}
	if k.isSuspended(obj) {
		return fmt.Errorf("%s %q is suspended; resume it with 'slipway resume %s %s -n %s'",
			k.name, obj.GetName(), k.words[0], obj.GetName(), obj.GetNamespace())
	}
	a.waitf("asking for %s %s/%s", k.name, obj.GetNamespace(), obj.GetName())
	request, err := a.request(ctx, c, obj, func() {})
	if err != nil {
		return err
	}
	return a.follow(ctx, c, k, obj, request)
}

// request asks the controller to reconcile obj, together with a change to it. It returns the request, which the controller
// repeats in the object's status once it has answered.
func (a *App) request(ctx context.Context, c *cluster, obj delivered, change func()) (string, error) {
	before := obj.DeepCopyObject().(client.Object)
	change()
	request := a.now().Format(time.RFC3339Nano)
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[meta.ReconcileRequestAnnotation] = request
	obj.SetAnnotations(annotations)
	if err := c.Patch(ctx, obj, client.MergeFrom(before)); err != nil {
		return "", fmt.Errorf("request reconciliation of %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	return request, nil
}
