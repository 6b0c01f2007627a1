package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/slipway/lab/addons/simulate"
)

func runKwok(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cmd := kwokCommand()
	cmd.SetArgs(args)
	return exitCode("kwok", cmd.ExecuteContext(ctx))
}

func kwokCommand() *cobra.Command {
	var kubeconfig string
	var opts simulate.Options
	cmd := &cobra.Command{
		Use:           "kwok --kubeconfig FILE",
		Short:         "Keep simulated nodes and the pods on them Ready",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// kwok's clients read the file themselves, but don't say so when it is missing.
			if _, err := clientcmd.LoadFromFile(kubeconfig); err != nil {
				return err
			}
			return simulate.Run(cmd.Context(), kubeconfig, opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&kubeconfig, "kubeconfig", "", "cluster to simulate nodes in (required)")
	flags.IntVar(&opts.Nodes, "nodes", 1, "nodes to create: PREFIX-0 … PREFIX-(N-1); those that exist are kept as they are")
	flags.StringVar(&opts.Prefix, "node-prefix", "sim", "start of the nodes' names")
	flags.StringVar(&opts.PodCIDR, "pod-cidr", "10.244.0.0/16", "range that pods' addresses are taken from; nothing answers there")
	cobra.CheckErr(cmd.MarkFlagRequired("kubeconfig"))
	return cmd
}
