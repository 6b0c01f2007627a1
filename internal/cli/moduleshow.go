package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

func newModuleShow(app *App) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a module: its versions, its plan, what it waits for, its objects",
		Long: `Show what is known of a module: what is installed and wanted, the plan with its problems and what it waits for, the attempt that is
under way, what failed, the revisions, and the objects with the health of each, as the agent sees it.

--watch goes on with what changes, a line for each: the phase, the step, the objects' health, what it waits for. -o wide has whole digests
and messages.`,
		Example: `  slipway module show runner

  # Follow an upgrade
  slipway module show runner --watch

  # For a script
  slipway module show runner -o json`,
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on with what changes until interrupted, or until the module is gone")
	out := addOutputFlag(cmd, "text", formatWide, formatJSON, formatYAML)
	app.onModule(cmd, func(ctx context.Context, c *cluster, m *v1alpha1.Module) error {
		forPeople := out.value == "text" || out.value == formatWide
		if watch && !forPeople {
			return usagef("--watch is for people: leave out -o %s", out.value)
		}
		report, err := c.moduleReport(ctx, m)
		if err != nil {
			return err
		}
		if !forPeople {
			return app.write(out.value, report)
		}
		if err := app.printModule(report, out.value == formatWide); err != nil || !watch {
			return err
		}
		fmt.Fprintln(app.Out)
		err = app.followModule(ctx, c, m, func(*v1alpha1.Module) (bool, error) { return false, nil })
		if ctx.Err() != nil {
			return nil //nolint:nilerr // interrupted is how one ends it
		}
		return app.moduleEnd(ctx, m, err)
	})
	return cmd
}

// moduleReport is what is known of a module.
type moduleReport struct {
	Name      string                      `json:"name"`
	Phase     v1alpha1.ModulePhase        `json:"phase"`
	Since     *metav1.Time                `json:"since,omitempty"`
	Ready     *metav1.Condition           `json:"ready,omitempty"`
	Deleting  bool                        `json:"deleting,omitempty"`
	Source    string                      `json:"source"`
	Wanted    string                      `json:"wanted"`
	Upgrades  string                      `json:"upgrades"`
	Current   *v1alpha1.RevisionReference `json:"current,omitempty"`
	Target    *v1alpha1.RevisionReference `json:"target,omitempty"`
	Plan      *v1alpha1.PlanSummary       `json:"plan,omitempty"`
	Attempt   *v1alpha1.Attempt           `json:"attempt,omitempty"`
	Rejected  []v1alpha1.Rejection        `json:"rejected,omitempty"`
	Revisions []moduleRevision            `json:"revisions,omitempty"`
	Depends   []v1alpha1.ModuleDependency `json:"dependsOn,omitempty"`
	Shown     string                      `json:"objectsOf,omitempty"`
	Objects   []moduleObject              `json:"objects,omitempty"`
	// ObjectsUnknown says why the objects can't be shown.
	ObjectsUnknown string `json:"objectsUnknown,omitempty"`
}

// moduleRevision is a line of a module's history.
type moduleRevision struct {
	Name    string                 `json:"name"`
	Number  int64                  `json:"number"`
	Version string                 `json:"version"`
	Digest  v1alpha1.Digest        `json:"digest"`
	State   v1alpha1.RevisionState `json:"state"`
	Created metav1.Time            `json:"created"`
	Failure *v1alpha1.Failure      `json:"failure,omitempty"`
}

func (c *cluster) moduleReport(ctx context.Context, m *v1alpha1.Module) (*moduleReport, error) {
	r := &moduleReport{
		Name: m.Name, Phase: phaseOf(m), Since: m.Status.PhaseSince, Deleting: !m.DeletionTimestamp.IsZero(),
		Ready:  apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition),
		Source: sourceWords(m.Spec.Source), Wanted: wantedWords(m.Spec), Upgrades: upgradeWords(m.Spec),
		Current: m.Status.Current, Target: m.Status.Target, Plan: m.Status.Plan, Attempt: m.Status.Attempt, Rejected: m.Status.Rejected,
		Depends: m.Spec.DependsOn, Shown: shownRevision(m),
	}
	reader := newModuleObjects(c)
	revisions, err := reader.store.List(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	for _, o := range revisions {
		r.Revisions = append(r.Revisions, moduleRevision{o.Name, o.Spec.Number, o.Spec.Version, o.Spec.Digest, o.Status.State, o.CreationTimestamp, o.Status.Failure})
	}
	objects, err := reader.of(ctx, m)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		r.ObjectsUnknown = err.Error()
	}
	r.Objects = objects
	return r, nil
}
