package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/internal/lab"
)

func newDown(app *App) *cobra.Command {
	var (
		name string
		all  bool
	)
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop a lab and remove everything of it",
		Long: `Stop a lab and remove everything of it: processes, mounts, network devices, control groups and files. What is left of
a lab whose start or end was interrupted goes, too. The programs that were built for labs stay in the user's cache folder.`,
		Example: `  slipway down

  slipway down --name two

  slipway down --all`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addLabName(app, cmd, &name)
	cmd.Flags().BoolVar(&all, "all", false, "all labs of this user")
	cmd.MarkFlagsMutuallyExclusive("name", "all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names := []string{name}
		if all && cmd.Flags().Changed("lab") {
			return usagef("--all and --lab %s exclude each other: give one of the flags", name)
		}
		if all {
			var err error
			if names, err = lab.Names(); err != nil {
				return err
			}
		}
		var failures []error
		for _, name := range names {
			app.progressf("removing lab %s", name)
			there, err := lab.Down(cmd.Context(), name)
			switch {
			case err != nil:
				failures = append(failures, err)
			case there:
				app.donef("lab %s is gone", name)
			default:
				app.donef("there is no lab %s", name)
			}
		}
		return errors.Join(failures...)
	}
	return cmd
}
