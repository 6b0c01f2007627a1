package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func newModuleUpgrade(app *App) *cobra.Command {
	var (
		f       moduleFlags
		version string
		retry   bool
	)
	cmd := &cobra.Command{
		Use:   "upgrade NAME",
		Short: "Approve what is planned for a module, and follow it",
		Long: `Approve the plan of a module: with policy Manual, if it can't be taken back, or to lead forward out of Frozen. The approval names
the digest of what would be installed: if that becomes another one, it counts no more. Windows, an age and other modules are still waited for.

Without a plan the agent is asked to look now. --version wants another version, or range, first; an older one is planned like any other.
--retry tries again what failed.

It ends with 0 when the version is installed, or when it is approved and waits for its time; with 1 when it was taken back, is frozen, or
the plan has problems.`,
		Example: `  # Look at the plan, approve it, and follow it
  slipway module show runner
  slipway module upgrade runner

  # Want a version, and don't ask
  slipway module upgrade runner --version 1.5.0 --yes

  # Once more, after what was wrong outside is mended
  slipway module upgrade runner --retry`,
	}
	f.add(cmd, true)
	cmd.Flags().StringVar(&version, "version", "", "want this version, or range, from now on (spec.version)")
	cmd.Flags().BoolVar(&retry, "retry", false, "try again what failed")
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
		if version != "" && version != m.Spec.Version {
			return app.wantVersion(ctx, c, m, f, version)
		}
		return app.upgrade(ctx, c, m, f, retry)
	})
	return cmd
}

// wantVersion changes the version that is wanted, and follows what comes of it: a plan, which may have to be approved.
func (a *App) wantVersion(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags, version string) error {
	if m.Spec.Catalogue != nil {
		a.warnf("module %s follows a catalogue: the version only bounds what that may say", m.Name)
	}
	a.warnOfGit(m)
	before := m.Spec.Version
	if err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { m.Spec.Version = version }); err != nil {
		return err
	}
	a.donef("module %s %s %s instead of %s", m.Name, would(f, "wants", "would want"), version, cmp.Or(before, "the newest"))
	if f.dryRun || f.noWait {
		return nil
	}
	return a.followUpgrade(ctx, c, m, f)
}

// upgrade does what a person means who says so in the state in which the module is.
func (a *App) upgrade(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags, retry bool) error {
	switch phase := phaseOf(m); {
	case inAttempt(m):
		a.waitf("module %s is being changed already", m.Name)
	case m.Spec.Paused:
		return fmt.Errorf("module %s is paused; 'slipway module resume %s' lets it go on", m.Name, m.Name)
	case phase == v1alpha1.PhaseBlocked && !retry:
		a.printProblems(m)
		return fmt.Errorf("the plan of module %s has problems, which must be solved first; nothing was changed", m.Name)
	case retry:
		return a.retryModule(ctx, c, m, f)
	case phase == v1alpha1.PhaseRolledBack:
		return fmt.Errorf("%s of module %s failed: %s. --retry tries it again", rejectedVersion(m), m.Name, failureWords(m))
	case (phase == v1alpha1.PhasePlanned || phase == v1alpha1.PhaseFrozen) && m.Status.Target != nil:
		return a.approve(ctx, c, m, f)
	default:
		return a.lookNow(ctx, c, m, f)
	}
	if f.dryRun || f.noWait {
		return nil
	}
	return a.followAttempt(ctx, c, m, f)
}

// approve sets the annotation for the digest that the person has seen.
func (a *App) approve(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	digest := m.Status.Target.Digest
	a.printPlanGist(m)
	if !f.yes && !f.dryRun {
		if err := a.confirm(fmt.Sprintf("Install %s of module %s?", m.Status.Target.Version, m.Name)); err != nil {
			return err
		}
	}
	if err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { annotate(m, v1alpha1.ApproveAnnotation, string(digest)) }); err != nil {
		return err
	}
	a.donef("%s of module %s %s (%s)", m.Status.Target.Version, m.Name, would(f, "is approved", "would be approved"), digest)
	if f.dryRun || f.noWait {
		return nil
	}
	return a.followUpgrade(ctx, c, m, f)
}

// retryModule takes a digest off the list of those that failed, or has the plan made again.
func (a *App) retryModule(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	digest := retried(m)
	if digest == "" {
		return fmt.Errorf("nothing of module %s has failed", m.Name)
	}
	if !f.yes && !f.dryRun {
		if err := a.confirm(fmt.Sprintf("Try %s of module %s again? It failed: %s.", rejectedVersion(m), m.Name, failureWords(m))); err != nil {
			return err
		}
	}
	if err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { annotate(m, v1alpha1.RetryAnnotation, string(digest)) }); err != nil {
		return err
	}
	a.donef("module %s %s %s again", m.Name, would(f, "tries", "would try"), shortDigest(digest))
	if f.dryRun || f.noWait {
		return nil
	}
	return a.followUpgrade(ctx, c, m, f)
}

// retried is the digest that a person means who says "again".
func retried(m *v1alpha1.Module) v1alpha1.Digest {
	switch {
	case m.Status.Attempt != nil:
		return m.Status.Attempt.Target.Digest
	case phaseOf(m) == v1alpha1.PhaseRolledBack && len(m.Status.Rejected) > 0:
		return m.Status.Rejected[0].Digest
	case m.Status.Target != nil:
		return m.Status.Target.Digest
	case len(m.Status.Rejected) > 0:
		return m.Status.Rejected[0].Digest
	}
	return ""
}

func rejectedVersion(m *v1alpha1.Module) string {
	switch {
	case m.Status.Attempt != nil:
		return m.Status.Attempt.Target.Version
	case len(m.Status.Rejected) > 0:
		return m.Status.Rejected[0].Version
	}
	return targetOf(m)
}

// lookNow asks the agent to look at the source at once.
func (a *App) lookNow(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	if f.dryRun {
		a.donef("module %s: nothing is planned; the agent would be asked to look for another version now", m.Name)
		return nil
	}
	request := a.now().Format(time.RFC3339Nano)
	if err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { annotate(m, meta.ReconcileRequestAnnotation, request) }); err != nil {
		return err
	}
	a.waitf("nothing is planned: asking the agent to look for another version of module %s", m.Name)
	if f.noWait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	began := false
	var last *v1alpha1.Module
	err := a.followModule(ctx, c, m, func(now *v1alpha1.Module) (bool, error) {
		last = now
		began = began || inAttempt(now)
		if now.Status.LastHandledReconcileAt != request && !began {
			return false, nil
		}
		return rests(now)
	})
	if err == nil && !began && phaseOf(last) == v1alpha1.PhaseInstalled {
		a.donef("%s of module %s is what is wanted: %s", versionOf(last.Status.Current), m.Name, wantedWords(last.Spec))
	}
	return a.moduleEnd(ctx, m, err)
}

// followAttempt follows what is under way to its end.
func (a *App) followAttempt(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	err := a.followModule(ctx, c, m, func(now *v1alpha1.Module) (bool, error) { return rests(now) })
	return a.moduleEnd(ctx, m, err)
}

// printPlanGist prints what a person should know of a plan before it is approved.
func (a *App) printPlanGist(m *v1alpha1.Module) {
	plan := m.Status.Plan
	if plan == nil {
		return
	}
	o := plan.Objects
	fmt.Fprintf(a.Out, "%s → %s: %d objects to create, %d to change, %d to delete, %d as they are\n",
		versionOf(m.Status.Current), versionOf(m.Status.Target), o.Create, o.Update, o.Delete, o.Unchanged)
	if plan.Reversible {
		fmt.Fprintln(a.Out, "It can be taken back until it is committed")
	}
	for _, why := range plan.Irreversible {
		fmt.Fprintln(a.Out, a.out.bad("It can't be taken back:")+" "+why)
	}
	for _, right := range plan.AddedPermissions {
		fmt.Fprintln(a.Out, "New right: "+right)
	}
}

func (a *App) printProblems(m *v1alpha1.Module) {
	if m.Status.Plan == nil {
		return
	}
	for _, p := range m.Status.Plan.Problems {
		fmt.Fprintln(a.Out, problemLine(p))
	}
	if more := int(m.Status.Plan.ProblemCount) - len(m.Status.Plan.Problems); more > 0 {
		fmt.Fprintf(a.Out, "and %d more; 'slipway module plan %s' shows all\n", more, m.Name)
	}
}
