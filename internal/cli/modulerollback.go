package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func newModuleRollback(app *App) *cobra.Command {
	var (
		f     moduleFlags
		force bool
		to    string
	)
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Take back what was begun with a module",
		Long: `End the attempt that is under way, or frozen, and take it back. The digest is remembered, and isn't tried again by itself.

What is committed can't be taken back: there an older version is wanted with --to, which is planned, checked and proved like any other.
--force takes back also what the plan says can't be: what is lost with it is said there.`,
		Example: `  slipway module rollback runner

  # What is installed is bad: go to an older version
  slipway module rollback runner --to 1.4.2`,
	}
	f.add(cmd, true)
	cmd.Flags().BoolVar(&force, "force", false, "although the plan says that it can't be taken back")
	cmd.Flags().StringVar(&to, "to", "", "want this older version from now on (spec.version)")
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
		if to != "" {
			if m.Status.Attempt != nil {
				return fmt.Errorf("module %s is between two versions: take that back first, without --to", m.Name)
			}
			return app.wantVersion(ctx, c, m, f, to)
		}
		return app.rollback(ctx, c, m, f, force)
	})
	return cmd
}

func (a *App) rollback(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags, force bool) error {
	if err := mayRollBack(m, force); err != nil {
		return err
	}
	target := m.Status.Target
	if m.Status.Attempt != nil {
		target = &m.Status.Attempt.Target
	}
	if m.Status.Phase != v1alpha1.PhaseRollingBack {
		if !f.yes && !f.dryRun {
			if err := a.confirm(fmt.Sprintf("Take %s of module %s back to %s?", target.Version, m.Name, cmp.Or(currentVersion(m), "nothing"))); err != nil {
				return err
			}
		}
		err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) {
			annotate(m, v1alpha1.RollbackAnnotation, string(target.Digest))
			if force {
				annotate(m, v1alpha1.ForceAnnotation, string(target.Digest))
			}
		})
		if err != nil {
			return err
		}
		a.donef("%s of module %s %s (%s)", target.Version, m.Name, would(f, "is taken back", "would be taken back"), target.Digest)
	}
	if f.dryRun || f.noWait {
		return nil
	}
	return a.followRollback(ctx, c, m, f)
}

// mayRollBack says what to do instead where nothing can be taken back.
func mayRollBack(m *v1alpha1.Module, force bool) error {
	attempt := m.Status.Attempt
	switch phase := phaseOf(m); {
	case phase == v1alpha1.PhasePreparing && m.Status.Target != nil:
		return nil
	case phase == v1alpha1.PhaseRolledBack:
		return fmt.Errorf("module %s was taken back already: %s", m.Name, failureWords(m))
	case attempt == nil || phase == v1alpha1.PhaseInstalled:
		return fmt.Errorf("nothing of module %s was begun that could be taken back; --to VERSION wants an older version, which is planned like any other", m.Name)
	case attempt.CommitBegan != nil || attempt.OverCommitted:
		return fmt.Errorf("the commit of %s has begun, and can't be taken back. When it is done, or with 'slipway module upgrade %s --retry', --to VERSION wants an older version", attempt.Target.Version, m.Name)
	case m.Status.Plan != nil && !m.Status.Plan.Reversible && m.Status.Plan.Digest == attempt.Target.Digest && !force:
		return fmt.Errorf("the plan says that it can't be taken back: %s. --force does it all the same", whyNot(m.Status.Plan))
	}
	return nil
}

func whyNot(plan *v1alpha1.PlanSummary) string {
	if len(plan.Irreversible) == 0 {
		return "it doesn't say why"
	}
	return plan.Irreversible[0]
}

func currentVersion(m *v1alpha1.Module) string {
	if m.Status.Current == nil {
		return ""
	}
	return m.Status.Current.Version
}

// followRollback follows an attempt until it is taken back. That it is, is a success here.
func (a *App) followRollback(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	before := m.DeepCopy()
	err := a.followModule(ctx, c, m, func(now *v1alpha1.Module) (bool, error) {
		switch {
		case phaseOf(now) == v1alpha1.PhaseRolledBack:
			return true, nil
		case phaseOf(now) == v1alpha1.PhaseInstalled && now.Status.Attempt == nil:
			return true, errors.New("it was installed before it could be taken back; --to VERSION wants an older version")
		case phaseOf(now) == v1alpha1.PhaseFrozen && sameState(before, now):
			return false, nil
		}
		return rests(now)
	})
	return a.moduleEnd(ctx, m, err)
}
