package cli

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
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
		Use:   "reconcile source|kustomization NAME",
		Short: "Fetch or apply now instead of at the next interval",
		Long: `Ask the controller to fetch a source or to apply a Kustomization now, and follow it until it has done so.

It ends with 0 when the object is ready, and with 1 and the controller's reason when it failed or when the
timeout is over. A suspended object isn't reconciled; resume it first.`,
		Example: `  # Fetch the branch now
  slipway reconcile source shop

  # Fetch, then apply what was fetched
  slipway reconcile kustomization shop --with-source

  # The flux CLI's way to say it works too
  slipway reconcile source git shop`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: completeArgs(app, "source\ta GitRepository", "kustomization\ta Kustomization"),
	}
	cmd.Flags().BoolVar(&withSource, "with-source", false, "reconcile the Kustomization's source first")
	cmd.Flags().DurationVar(&timeout, "timeout", reconcilePatience, "how long to wait for the controller")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, name, err := kindAndName(args)
		if err != nil {
			return err
		}
		if withSource && k.name != kustomizev1.KustomizationKind {
			return usagef("--with-source is for Kustomizations only: a %s is a source itself", k.name)
		}
		c, err := app.connect()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		if withSource {
			if err := app.reconcileSourceOf(ctx, c, c.namespace, name); err != nil {
				return err
			}
		}
		return app.reconcile(ctx, c, k, c.namespace, name)
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
	if ref.Kind != sourcev1.GitRepositoryKind {
		return fmt.Errorf("the source of Kustomization %q is a %s; --with-source works for a GitRepository only", name, ref.Kind)
	}
	if ref.Namespace != "" {
		namespace = ref.Namespace
	}
	return a.reconcile(ctx, c, gitRepositoryKind(), namespace, ref.Name)
}

// reconcile requests a reconciliation of one object and follows it to its end.
func (a *App) reconcile(ctx context.Context, c *cluster, k kind, namespace, name string) error {
	obj, err := c.get(ctx, k, namespace, name)
	if err != nil {
		return err
	}
	if *k.suspended(obj) {
		return fmt.Errorf("%s %q is suspended; resume it with 'slipway resume %s %s -n %s'",
			k.name, name, k.words[0], name, namespace)
	}
	a.progressf("asking for %s %s/%s", k.name, namespace, name)
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
