package cli

import (
	"github.com/spf13/cobra"
)

func newModule(app *App) *cobra.Command {
	return group(&cobra.Command{
		Use:   "module",
		Short: "Look after the controllers that the agent looks after",
		Long: `Modules are the controllers of a platform: what is installed in a cluster to serve others. The agent installs and upgrades them as
their Modules say, proves each new version, and takes back what isn't good.

The verbs act through the Module and its annotations, as kubectl could: 'show' and 'list' look, 'plan' says what installing or
upgrading one would do and what stands in the way, 'upgrade' approves what is planned, 'rollback' takes back what was begun, 'pause'
and 'resume' hold and go on, 'adopt' takes over what is there, 'uninstall' removes. 'interpret' says how an object of any kind is
doing, and tries out what teaches the agent a kind.`,
		Example: `  slipway module list

  # What is planned for it, and what does it wait for?
  slipway module show runner

  # What would the next version of this module do?
  slipway module plan runner

  # How is this certificate doing, and who says so?
  slipway module interpret certificate/shop -n web`,
	},
		newModuleList(app), newModuleShow(app), newModuleUpgrade(app), newModuleRollback(app), newModulePause(app), newModuleResume(app),
		newModuleAdopt(app), newModuleUninstall(app), newModulePlan(app), newInterpret(app))
}
