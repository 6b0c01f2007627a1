package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func newModulePause(app *App) *cobra.Command {
	var f moduleFlags
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Begin nothing with a module for now",
		Long: `Set spec.paused: no upgrade begins, and what others change is told but not put right. Plans are made and shown. An attempt that
has begun is finished.`,
		Example: `  slipway module pause runner`,
	}
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and change nothing")
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
		if m.Spec.Paused {
			app.donef("module %s is paused already", m.Name)
			return nil
		}
		if err := app.setPaused(ctx, c, m, f, true); err != nil {
			return err
		}
		if why := builtinPause(m); why != "" {
			app.warnf("%s", why)
		}
		if inAttempt(m) {
			app.warnf("what has begun is finished: %s is %s; 'slipway module rollback %s' takes it back", m.Name, m.Status.Phase, m.Name)
		}
		app.donef("module %s %s", m.Name, would(f, "is paused", "would be paused"))
		return nil
	})
	return cmd
}

func newModuleResume(app *App) *cobra.Command {
	var f moduleFlags
	cmd := &cobra.Command{
		Use:     "resume NAME",
		Short:   "Go on with a paused module",
		Long:    `Unset spec.paused: what is wanted is installed again, as its policy and its windows allow.`,
		Example: `  slipway module resume runner`,
	}
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and change nothing")
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
		if !m.Spec.Paused {
			app.donef("module %s isn't paused", m.Name)
			return nil
		}
		if err := app.setPaused(ctx, c, m, f, false); err != nil {
			return err
		}
		app.donef("module %s %s", m.Name, would(f, "goes on", "would go on"))
		return nil
	})
	return cmd
}

func (a *App) setPaused(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags, paused bool) error {
	a.warnOfGit(m)
	return a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { m.Spec.Paused = paused })
}

// would chooses the words for what was done, or would be.
func would(f moduleFlags, done, notDone string) string {
	if f.dryRun {
		return notDone
	}
	return done
}
