package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func newModuleUninstall(app *App) *cobra.Command {
	var (
		f           moduleFlags
		definitions string
	)
	cmd := &cobra.Command{
		Use:   "uninstall NAME",
		Short: "Remove a module from the cluster, and say before what data goes",
		Long: `Delete a Module: the agent removes its objects in the reverse order of their installation. Definitions of kinds stay, with every
object of these kinds, unless spec.uninstall.definitions, or --definitions, is Delete: then both go.

What goes is shown before: objects by kind, namespaces with what is in them (one with something in it that isn't the module's stays), and modules that require this one. --dry-run ends there.`,
		Example: `  # What would be lost?
  slipway module uninstall cert-manager --definitions Delete --dry-run

  slipway module uninstall cert-manager`,
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&definitions, "definitions", "", "Keep or Delete definitions of kinds and all their objects (default: spec.uninstall.definitions)")
	completeWords(cmd, "definitions", string(v1alpha1.KeepDefinitions), string(v1alpha1.DeleteDefinitions))
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
		switch v1alpha1.DefinitionsPolicy(definitions) {
		case "", v1alpha1.KeepDefinitions, v1alpha1.DeleteDefinitions:
		default:
			return usagef("--definitions is Keep or Delete, not %q", definitions)
		}
		return app.uninstallModule(ctx, c, m, f, v1alpha1.DefinitionsPolicy(definitions), out)
	})
	return cmd
}

func (a *App) uninstallModule(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags, definitions v1alpha1.DefinitionsPolicy, out *outputFlag) error {
	changes := definitions != "" && definitions != definitionsPolicy(m)
	loss, err := c.lossOf(ctx, m, definitions)
	if err != nil {
		return fmt.Errorf("find out what would be lost: %w", err)
	}
	loss.Stays = builtinStays(m)
	if err := present(a, out, loss, a.printLoss); err != nil {
		return err
	}
	if f.dryRun {
		return a.tryDelete(ctx, c, m)
	}
	if m.DeletionTimestamp.IsZero() {
		if !f.yes {
			if err := a.confirm(loss.question()); err != nil {
				return err
			}
		}
		a.warnOfGit(m)
		if changes {
			err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { m.Spec.Uninstall = &v1alpha1.Uninstall{Definitions: definitions} })
			if err != nil {
				return err
			}
		}
		if err := c.Delete(ctx, m, client.Preconditions{UID: &m.UID}); err != nil {
			return fmt.Errorf("delete Module %q: %w", m.Name, err)
		}
	}
	if f.noWait {
		return nil
	}
	return a.followUninstall(ctx, c, m, f)
}

// tryDelete asks the API server whether it would let the Module be deleted.
func (a *App) tryDelete(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
	if err := c.Delete(ctx, m, client.DryRunAll); err != nil {
		return fmt.Errorf("delete Module %q: %w", m.Name, err)
	}
	return nil
}

// definitionsPolicy is what becomes of definitions, as it is said now.
func definitionsPolicy(m *v1alpha1.Module) v1alpha1.DefinitionsPolicy {
	if m.Spec.Uninstall == nil || m.Spec.Uninstall.Definitions == "" {
		return v1alpha1.KeepDefinitions
	}
	return m.Spec.Uninstall.Definitions
}

// followUninstall follows a Module until it is gone.
func (a *App) followUninstall(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	err := a.followModule(ctx, c, m, func(*v1alpha1.Module) (bool, error) { return false, nil })
	if errors.Is(err, errGone) {
		a.donef("module %s is uninstalled", m.Name)
		return nil
	}
	return a.moduleEnd(ctx, m, err)
}
