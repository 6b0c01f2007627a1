package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	packages "github.com/slipway-dev/slipway/internal/module/pack"
)

func newPackageLint(app *App) *cobra.Command {
	var render renderFlags
	cmd := &cobra.Command{
		Use:   "lint [FOLDER]",
		Short: "Say what is wrong with a package, and what could be better",
		Long: `Read the package in a folder as the agent does, render it, run the tests of its Interpreters, and say what is wrong with it and what
could be better. The exit code is 1 if something is wrong.`,
		Example: `  slipway package lint runner
  slipway package lint runner --values test.yaml --kube-version 1.34.0`,
		Args: cobra.MaximumNArgs(1),
	}
	render.add(cmd)
	out := addOutputFlag(cmd, "text", formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		findings, err := lint(cmd.Context(), folderOr(args), render)
		if err != nil {
			return err
		}
		report := lintReport{findings}
		if err := present(app, out, report, app.printLinted); err != nil {
			return err
		}
		wrong := 0
		for _, f := range findings {
			if f.Wrong {
				wrong++
			}
		}
		if wrong > 0 {
			return fmt.Errorf("%d things are wrong with the package in %s", wrong, folderOr(args))
		}
		return nil
	}
	return cmd
}

func lint(ctx context.Context, folder string, flags renderFlags) ([]packages.Finding, error) {
	shop, err := newWorkshop()
	if err != nil {
		return nil, err
	}
	defer shop.close()
	files, done, err := folderFS(folder)
	if err != nil {
		return nil, err
	}
	defer done()
	var m packages.Manifest
	if p, err := packages.Open(ctx, shop.store, files); err == nil {
		m = p.Manifest
	}
	r, err := flags.rendering(m)
	if err != nil {
		return nil, err
	}
	return packages.Lint(ctx, shop.store, files, r)
}

// lintReport is what lint prints for scripts.
type lintReport struct {
	Findings []packages.Finding `json:"findings"`
}

func (a *App) printLinted(report lintReport) {
	for _, f := range report.Findings {
		mark := a.out.warn("hint ")
		if f.Wrong {
			mark = a.out.bad("wrong")
		}
		where := ""
		if f.Where != "" {
			where = a.out.bold(f.Where) + ": "
		}
		fmt.Fprintf(a.Out, "%s  %s%s\n", mark, where, f.Message)
	}
	if len(report.Findings) == 0 {
		a.donef("nothing to say about it")
	}
}
