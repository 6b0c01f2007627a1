package main

import (
	"context"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // build_info
	apiserverapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	managerapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxyapp "k8s.io/kubernetes/cmd/kube-proxy/app"
	schedulerapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
)

func apiServer() *cobra.Command         { return apiserverapp.NewAPIServerCommand() }
func controllerManager() *cobra.Command { return managerapp.NewControllerManagerCommand() }
func scheduler() *cobra.Command         { return schedulerapp.NewSchedulerCommand() }
func proxy() *cobra.Command             { return proxyapp.NewProxyCommand() }
func kubelet() *cobra.Command           { return kubeletapp.NewKubeletCommand(context.Background()) }

func runCobra(build func() *cobra.Command) component {
	return func(args []string) int {
		cmd := build()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	}
}
