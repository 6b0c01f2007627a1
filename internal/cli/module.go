package cli

import (
	"github.com/spf13/cobra"
)

func newModule(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "module",
		Short: "Look after the controllers that the agent looks after",
		Long: `Modules are the controllers of a platform: what is installed in a cluster to serve others.

'slipway module interpret' says how an object of any kind is doing, and tries out what teaches the agent a kind. 'slipway module
plan' says what installing or upgrading one would do, and what stands in the way.`,
		Example: `  # How is this certificate doing, and who says so?
  slipway module interpret certificate/shop -n web

  # What would the next version of this module do?
  slipway module plan runner`,
	}, newInterpret(app), newModulePlan(app))
}
