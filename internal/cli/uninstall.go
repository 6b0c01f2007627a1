package cli

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/kube"
)

func newUninstall(app *App) *cobra.Command {
	var (
		yes, crds bool
		timeout   time.Duration
	)
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take Slipway out of a cluster, and leave what it delivered",
		Long: `Stop the agent and remove it with its roles and its namespace. Everything it has delivered goes on running.

GitRepositories, Kustomizations and Modules stay as well, for an agent that comes later; --crds removes them and their
kinds. They lose their finalizers, so that they can be deleted without an agent. As long as such objects are in the
namespace slipway-system, or there are Modules, it stays too. Where delivery runs in pods of its own, uninstall that
Module first: they would go on without the agent.`,
		Example: `  slipway uninstall

  # Without a question, and with all GitRepositories and Kustomizations
  slipway uninstall --yes --crds`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&crds, "crds", false, "remove all GitRepositories and Kustomizations and their kinds too")
	cmd.Flags().DurationVar(&timeout, "timeout", reconcilePatience, "how long to wait until the agent has stopped")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := app.connect()
		if err != nil {
			return err
		}
		if !yes {
			if err := app.confirm(fmt.Sprintf("Take Slipway out of the cluster at %s?", c.config.Host)); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		return app.uninstall(ctx, c, crds)
	}
	return cmd
}

// confirm asks a person. Who can't answer must have said --yes.
func (a *App) confirm(question string) error {
	if !a.err.terminal {
		return usagef("nobody is here to be asked; pass --yes")
	}
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer := bufio.NewScanner(a.In)
	if answer.Scan() && slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer.Text()))) {
		return nil
	}
	return fmt.Errorf("nothing was changed")
}

func (a *App) uninstall(ctx context.Context, c *cluster, crds bool) error {
	if err := c.refuseServed(ctx); err != nil {
		return err
	}
	if err := a.stopAgent(ctx, c); err != nil {
		return err
	}
	flux, err := c.fluxControllers(ctx)
	if err != nil {
		return err
	}
	if len(flux) > 0 {
		a.warnf("Flux works on the same kinds (%s): objects and CRDs are left to it", strings.Join(flux, ", "))
		crds = false
	}
	keepNamespace := false
	if len(flux) == 0 {
		if keepNamespace, err = a.releaseObjects(ctx, c); err != nil {
			return err
		}
	}
	modules, err := a.releaseModules(ctx, c)
	if err != nil {
		return err
	}
	keepNamespace = keepNamespace || modules
	objs, err := everythingInstalled()
	if err != nil {
		return err
	}
	for _, obj := range slices.Backward(objs) {
		switch {
		case obj.GetKind() == crdKind && !crds:
			continue
		case obj.GetKind() == "Namespace" && keepNamespace && !crds:
			a.warnf("namespace %s stays: GitRepositories, Kustomizations or what Modules need are in it", obj.GetName())
			continue
		}
		if err := a.deleteOwn(ctx, c, obj); err != nil {
			return err
		}
	}
	return a.pruneInstall(ctx, c, nil)
}

// stopAgent deletes the StatefulSets of both slots and waits until their pods are gone: an agent that still runs would put finalizers back.
func (a *App) stopAgent(ctx context.Context, c *cluster) error {
	for _, slot := range []v1alpha1.AgentSlot{v1alpha1.SlotA, v1alpha1.SlotB} {
		set := &appsv1.StatefulSet{}
		set.Namespace, set.Name = deploy.Namespace, agent.Names().Workload(slot)
		err := c.Delete(ctx, set, client.PropagationPolicy(metav1.DeletePropagationForeground))
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("delete StatefulSet %s: %w", set.Name, err)
		}
		a.progressf("waiting until the agent has stopped")
		if err := c.waitGone(ctx, set, func() client.ObjectList { return &appsv1.StatefulSetList{} }); err != nil {
			return fmt.Errorf("wait until the agent has stopped: %w", err)
		}
		a.donef("StatefulSet/%s/%s deleted", set.Namespace, set.Name)
	}
	upgrades, err := newSelfUpgrader(c.config, v1alpha1.SlotA, logr.Discard())
	if err != nil {
		return err
	}
	return upgrades.driver.Release(ctx)
}

// releaseObjects takes the agent's finalizer from all objects of our kinds. It reports whether any is in the agent's namespace.
func (a *App) releaseObjects(ctx context.Context, c *cluster) (inNamespace bool, err error) {
	for _, k := range kinds() {
		items, err := k.list(ctx, c)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, obj := range items {
			inNamespace = inNamespace || obj.GetNamespace() == deploy.Namespace
			before := obj.DeepCopyObject().(client.Object)
			if !controllerutil.RemoveFinalizer(obj, kustomizev1.KustomizationFinalizer) {
				continue
			}
			if err := c.Patch(ctx, obj, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
				return false, fmt.Errorf("release %s %s/%s: %w", k.name, obj.GetNamespace(), obj.GetName(), err)
			}
		}
	}
	return inNamespace, nil
}

// everythingInstalled is what any install may have applied, in the order of an install.
func everythingInstalled() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	seen := map[string]bool{}
	for _, overlay := range deploy.Overlays() {
		objs, err := deploy.Render(deploy.Options{Overlay: overlay, Components: deploy.Components()})
		if err != nil {
			return nil, err
		}
		for _, obj := range objs {
			if name := kube.RefOf(obj).Subject(); !seen[name] {
				seen[name] = true
				all = append(all, obj)
			}
		}
	}
	return all, nil
}

func (a *App) deleteOwn(ctx context.Context, c *cluster, obj *unstructured.Unstructured) error {
	err := c.Delete(ctx, obj, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", kube.RefOf(obj).Subject(), err)
	}
	a.donef("%s deleted", kube.RefOf(obj).Subject())
	return nil
}
