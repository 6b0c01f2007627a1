package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// module reads one Module.
func (c *cluster) module(ctx context.Context, name string) (*v1alpha1.Module, error) {
	m := &v1alpha1.Module{}
	err := c.Get(ctx, client.ObjectKey{Name: name}, m)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no Module %q; 'slipway module list' names those that there are", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read Module %q: %w", name, err)
	}
	return m, nil
}

// completeModule completes the name of a Module.
func completeModule(app *App) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp
		c, err := app.connect()
		if err != nil || len(args) > 0 {
			return nil, nothingElse
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		var all v1alpha1.ModuleList
		if err := c.List(ctx, &all); err != nil {
			return nil, nothingElse
		}
		var names []string
		for i := range all.Items {
			names = append(names, all.Items[i].Name)
		}
		return fitting(names, toComplete), nothingElse
	}
}

// moduleFlags are those of the verbs that change a Module.
type moduleFlags struct {
	dryRun, yes, noWait bool
	timeout             time.Duration
}

func (f *moduleFlags) add(cmd *cobra.Command, waits bool) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and change nothing")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "don't ask")
	if waits {
		cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "don't follow what the agent makes of it")
		cmd.Flags().DurationVar(&f.timeout, "timeout", modulePatience, "how long to follow it")
	}
}

// modulePatience is how long a verb follows an attempt: the usual deadline, and some time to plan before and commit after.
const modulePatience = 15 * time.Minute

// onModule runs a verb on the Module that is named.
func (a *App) onModule(cmd *cobra.Command, do func(context.Context, *cluster, *v1alpha1.Module) error) {
	cmd.Args, cmd.ValidArgsFunction = cobra.ExactArgs(1), completeModule(a)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		m, err := c.module(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, m)
	}
}

// patchModule changes a Module; on a dry run only the API server is asked whether it would let it pass.
func (a *App) patchModule(ctx context.Context, c *cluster, m *v1alpha1.Module, f moduleFlags, change func(*v1alpha1.Module)) error {
	before := m.DeepCopy()
	change(m)
	var opts []client.PatchOption
	if f.dryRun {
		opts = append(opts, client.DryRunAll)
	}
	if err := c.Patch(ctx, m, client.MergeFrom(before), opts...); err != nil {
		return fmt.Errorf("change Module %q: %w", m.Name, err)
	}
	return nil
}

// annotate sets an annotation.
func annotate(m *v1alpha1.Module, key, value string) {
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[key] = value
}

// warnOfGit says of a change to the spec that it won't last.
func (a *App) warnOfGit(m *v1alpha1.Module) {
	group := kustomizev1.GroupVersion.Group
	if name := m.Labels[group+"/name"]; name != "" {
		a.warnf("Module %s is delivered by Kustomization %s/%s: change it in Git as well, or it is put back", m.Name, m.Labels[group+"/namespace"], name)
	}
}

// inAttempt says whether the agent is changing objects of the module.
func inAttempt(m *v1alpha1.Module) bool {
	return slices.Contains([]v1alpha1.ModulePhase{
		v1alpha1.PhasePreparing, v1alpha1.PhaseApplying, v1alpha1.PhaseSoaking, v1alpha1.PhaseCommitting, v1alpha1.PhaseRollingBack,
	}, m.Status.Phase)
}

// phaseOf is the phase, also of a Module that nobody has looked at yet.
func phaseOf(m *v1alpha1.Module) v1alpha1.ModulePhase {
	return cmp.Or(m.Status.Phase, v1alpha1.PhasePending)
}

func (a *App) phaseInColour(m *v1alpha1.Module) string {
	switch phase := phaseOf(m); phase {
	case v1alpha1.PhaseInstalled:
		return a.out.good(string(phase))
	case v1alpha1.PhaseBlocked, v1alpha1.PhaseFrozen, v1alpha1.PhaseRolledBack:
		return a.out.bad(string(phase))
	default:
		return a.out.warn(string(phase))
	}
}

// readyWords is what the agent says of a Module.
func readyWords(m *v1alpha1.Module) string {
	if ready := apimeta.FindStatusCondition(m.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		return ready.Message
	}
	return "nobody has looked at it yet"
}

func versionOf(r *v1alpha1.RevisionReference) string {
	if r == nil {
		return "-"
	}
	return orDash(r.Version)
}

// shortDigest has enough of a digest to tell it from others.
func shortDigest(d v1alpha1.Digest) string {
	const most = len("sha256:") + 12
	return string(d[:min(len(d), most)])
}

// sourceWords says where a package comes from.
func sourceWords(s v1alpha1.PackageSource) string {
	switch {
	case s.OCI != nil:
		return s.OCI.URL
	case s.Git != nil:
		return strings.TrimSuffix(s.Git.URL+"//"+s.Git.Path, "//")
	case s.Chart != nil:
		return "chart " + s.Chart.Name + " of " + s.Chart.Repository
	case s.Manifests != nil:
		return s.Manifests.URL
	case s.Builtin != nil:
		return "built in: " + s.Builtin.Name
	}
	return "-"
}

// wantedWords says which versions may be installed.
func wantedWords(spec v1alpha1.ModuleSpec) string {
	words := cmp.Or(spec.Version, "the newest")
	if b := spec.Source.Builtin; b != nil && b.Name != v1alpha1.BuiltinAgent {
		words = "that of the agent"
	}
	if c := spec.Catalogue; c != nil {
		place := "a catalogue"
		switch {
		case c.ConfigMap != nil:
			place = "ConfigMap " + c.ConfigMap.Name
		case c.OCI != nil:
			place = c.OCI.URL
		case c.Git != nil:
			place = c.Git.URL
		}
		words = fmt.Sprintf("what channel %s of %s says", c.Channel, place)
		if spec.Version != "" {
			words += ", within " + spec.Version
		}
	}
	return words
}

// upgradeWords says when another version may be installed.
func upgradeWords(spec v1alpha1.ModuleSpec) string {
	u := spec.Upgrade
	if u == nil {
		u = &v1alpha1.Upgrade{}
	}
	undecided := "as the package says"
	if b := spec.Source.Builtin; b != nil && b.Name == v1alpha1.BuiltinAgent {
		undecided = string(v1alpha1.UpgradeAutomatic) // an agent that isn't good is taken back
	} else if b != nil {
		undecided = "with the agent"
	}
	words := []string{cmp.Or(string(u.Policy), undecided)}
	for _, w := range u.Windows {
		days := "every day"
		if len(w.Days) > 0 {
			var names []string
			for _, d := range w.Days {
				names = append(names, string(d))
			}
			days = strings.Join(names, ",")
		}
		words = append(words, fmt.Sprintf("%s from %s for %s (%s)", days, w.Start, wanted.Duration(w.Duration.Duration), cmp.Or(w.TimeZone, "UTC")))
	}
	if u.MinAge != nil && u.MinAge.Duration > 0 {
		words = append(words, "versions that are "+wanted.Duration(u.MinAge.Duration)+" old")
	}
	if spec.Paused {
		words = append(words, "paused")
	}
	return strings.Join(words, "; ")
}
