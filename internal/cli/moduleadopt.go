package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// ownersCheck is the check of a plan that finds objects of others.
const ownersCheck = "Owners"

func newModuleAdopt(app *App) *cobra.Command {
	var f moduleFlags
	cmd := &cobra.Command{
		Use:   "adopt NAME",
		Short: "Take over what is installed already",
		Long: `Set spec.adopt: objects of the package that are in the cluster already, and belong to Helm, Flux, Argo CD or a person, become the
module's. They are changed where the package has them otherwise, and not restarted where it doesn't. Without it each of them is a
problem of the plan.

Whoever has installed them must let go of them first: a HelmRelease or an Argo CD Application that goes on works against the agent.`,
		Example: `  # Which objects would be taken over?
  slipway module adopt cert-manager --dry-run

  slipway module adopt cert-manager`,
	}
	f.add(cmd, true)
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error { return app.adopt(ctx, c, m, f) })
	return cmd
}

func (a *App) adopt(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags) error {
	if m.Spec.Adopt {
		a.donef("module %s takes over what is there already", m.Name)
		return nil
	}
	owned, others := problemsOf(m)
	for _, p := range owned {
		fmt.Fprintf(a.Out, "%s: %s\n", orDash(p.Object), p.Message)
	}
	if plan := m.Status.Plan; plan != nil && int(plan.ProblemCount) > len(plan.Problems) {
		fmt.Fprintf(a.Out, "and more: the plan has %d problems; 'slipway module plan %s' shows all\n", plan.ProblemCount, m.Name)
	}
	if len(owned) == 0 {
		a.warnf("the plan of module %s names no object of others: there may be nothing to take over", m.Name)
	}
	for _, p := range others {
		a.warnf("another problem of the plan (%s): %s", p.Check, oneLine(p.Message))
	}
	if !f.yes && !f.dryRun {
		if err := a.confirm(fmt.Sprintf("Make them objects of module %s?", m.Name)); err != nil {
			return err
		}
	}
	a.warnOfGit(m)
	if err := a.patchModule(ctx, c, m, f, func(m *v1alpha1.Module) { m.Spec.Adopt = true }); err != nil {
		return err
	}
	a.donef("module %s %s", m.Name, would(f, "takes them over", "would take them over"))
	if f.dryRun || f.noWait {
		return nil
	}
	return a.followUpgrade(ctx, c, m, f)
}

// problemsOf returns what the plan says of objects of others, and what else it says.
func problemsOf(m *v1alpha1.Module) (owned, others []v1alpha1.PlanProblem) {
	if m.Status.Plan == nil {
		return nil, nil
	}
	for _, p := range m.Status.Plan.Problems {
		if strings.EqualFold(p.Check, ownersCheck) {
			owned = append(owned, p)
		} else {
			others = append(others, p)
		}
	}
	return owned, others
}
