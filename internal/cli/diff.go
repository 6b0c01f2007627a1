package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/build"
)

var errDifferent = errors.New("there are differences")

func newDiff(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "diff",
		Short: "Show what applying a Kustomization would change in the cluster",
		Long:  `Show what applying a Kustomization would change in the cluster, without changing anything.`,
		Example: `  # What would my working copy do?
  slipway diff kustomization shop --path .`,
	}, newDiffKustomization(app))
}

func newDiffKustomization(app *App) *cobra.Command {
	var (
		path     string
		exitCode bool
	)
	cmd := &cobra.Command{
		Use:     "kustomization NAME",
		Aliases: []string{"ks", "kustomizations"},
		Short:   "Show what applying a Kustomization would change in the cluster",
		Long: `Build a Kustomization as the agent would, let the API server say what would become of each object (a dry run), and
show the differences from what is there. Nothing is changed.

Without --path it builds what the source has fetched: what is shown is drift, or what the agent is about to do.
With --path it builds a working copy. Is that the root of a Git repository, or not in one at all, the folder that
spec.path names is built in it; else the folder itself.

Values of Secrets aren't shown, only that they differ. The requests are made as you: what you may not do, such as
applying a ClusterRole wider than your own, is told as an error of that object.

It ends with 0 whether there are differences or not, unless --exit-code is given.`,
		Example: `  # Before pushing
  slipway diff kustomization shop --path .

  # In a pipeline: 1 when something would change
  slipway diff ks shop --path . --exit-code`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeOne(app, kustomizationKind()),
	}
	cmd.Flags().StringVar(&path, "path", "", "working copy to build, instead of what the source has fetched")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with 1 when there are differences, as 'git diff' does")
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := app.connect()
		if err != nil {
			return err
		}
		found, err := app.diff(cmd.Context(), c, args[0], path)
		if err != nil {
			return err
		}
		if err := present(app, out, found, app.printDifferences); err != nil {
			return err
		}
		return verdictOn(found, exitCode)
	}
	return cmd
}

// verdictOn is the end of a diff: an object that can't be applied is a failure, a difference is one if that was asked for.
func verdictOn(found []difference, exitCode bool) error {
	different := false
	for _, d := range found {
		if d.Error != "" {
			return quietError{fmt.Errorf("%s %s", d.Object, d.Error)}
		}
		different = different || d.Action != apply.Unchanged && d.Action != apply.Skipped
	}
	if different && exitCode {
		return quietError{errDifferent}
	}
	return nil
}

// diff builds the Kustomization from the folder at path, or from its source, and compares with the cluster.
func (a *App) diff(ctx context.Context, c *cluster, name, path string) ([]difference, error) {
	obj, err := c.get(ctx, kustomizationKind(), c.namespace, name)
	if err != nil {
		return nil, err
	}
	ks := obj.(*kustomizev1.Kustomization)
	files, err := a.filesFor(ctx, c, ks, path)
	if err != nil {
		return nil, err
	}
	defer files.close()
	values, err := c.substitutions(ctx, ks)
	if err != nil {
		return nil, err
	}
	built, err := build.New().Build(ctx, build.Input{
		Tree: build.TreeOf(files.fs), Path: files.path, Spec: ks.Spec, Vars: values.all,
	})
	if err != nil {
		return nil, fmt.Errorf("build Kustomization %q: %w", name, err)
	}
	found, err := a.compare(ctx, c, ks, built.Objects)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i].Diff = values.hide(found[i].Diff)
		found[i].Error = values.hide(found[i].Error)
	}
	return found, nil
}

func (a *App) printDifferences(found []difference) {
	different := false
	for _, d := range found {
		switch {
		case d.Error != "":
			fmt.Fprintf(a.Out, "%s %s: %s\n", a.out.bold(d.Object), a.out.bad("can't be applied"), d.Error)
		case d.Action == apply.Unchanged || d.Action == apply.Skipped:
			continue
		default:
			fmt.Fprintf(a.Out, "%s %s%s\n", a.out.bold(d.Object), d.Action, inBrackets(d.Note))
		}
		different = true
		for line := range strings.Lines(d.Diff) {
			fmt.Fprint(a.Out, a.colourDiff(line))
		}
	}
	if !different {
		a.donef("no differences in %d objects", len(found))
	}
}

func inBrackets(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

func (a *App) colourDiff(line string) string {
	text := strings.TrimSuffix(line, "\n")
	switch {
	case strings.HasPrefix(text, "+"):
		text = a.out.good(text)
	case strings.HasPrefix(text, "-"):
		text = a.out.bad(text)
	case strings.HasPrefix(text, "@@"):
		text = a.out.dim(text)
	}
	return text + "\n"
}
