package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/internal/lab"
)

func newKubeconfig(app *App) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the kubeconfig of a lab",
		Long:  `Print the kubeconfig of a lab's administrator, certificates included. Slipway's own commands take --lab NAME instead.`,
		Example: `  slipway kubeconfig > lab.yaml && export KUBECONFIG=$PWD/lab.yaml

  slipway kubeconfig --name two`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addLabName(app, cmd, &name)
	cmd.RunE = func(*cobra.Command, []string) error {
		l, err := lab.Open(name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(l.Kubeconfig())
		if err != nil {
			return fmt.Errorf("lab %s has no kubeconfig yet: %w; slipway up --name %s finishes it", l.Name(), err, l.Name())
		}
		_, err = app.Out.Write(data)
		return err
	}
	return cmd
}
