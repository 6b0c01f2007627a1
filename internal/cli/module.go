package cli

import (
	"github.com/spf13/cobra"
)

func newModule(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "module",
		Short: "Look after the controllers that the agent looks after",
		Long: `Modules are the controllers of a platform: what is installed in a cluster to serve others.

'slipway module interpret' says how an object of any kind is doing, and tries out what teaches the agent a kind.`,
		Example: `  # How is this certificate doing, and who says so?
  slipway module interpret certificate/shop -n web`,
	}, newInterpret(app))
}
