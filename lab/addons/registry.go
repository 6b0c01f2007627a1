package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/lab/addons/registry"
)

func runRegistry(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cmd := registryCommand()
	cmd.SetArgs(args)
	return exitCode("registry", cmd.ExecuteContext(ctx))
}

func registryCommand() *cobra.Command {
	var dir string
	var listen []string
	cmd := &cobra.Command{
		Use:           "registry --dir DIR --listen ADDR",
		Short:         "Serve OCI images from a folder",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			handler, err := registry.New(dir)
			if err != nil {
				return err
			}
			return registry.Serve(cmd.Context(), handler, listen)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", "", "folder to keep blobs and manifests in; made when missing (required)")
	flags.StringArrayVar(&listen, "listen", []string{"127.0.0.1:5000"}, "address to serve plain HTTP on; may be given several times")
	cobra.CheckErr(cmd.MarkFlagRequired("dir"))
	return cmd
}
