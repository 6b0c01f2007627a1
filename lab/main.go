// Command slipway-lab is a whole Kubernetes in one binary: the first argument
// names the component to run, the rest is that component's own command line.
//
// Only the component that was asked for is constructed: two of them in one
// process would both install the signal handler that may be installed once.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// component runs one part of the cluster until its process is told to stop and
// returns the exit code. args are the component's own, without its name.
type component func(args []string) int

func components() map[string]component {
	return map[string]component{
		"etcd":                    runEtcd,
		"kube-apiserver":          runCobra(apiServer),
		"kube-controller-manager": runCobra(controllerManager),
		"kube-scheduler":          runCobra(scheduler),
		"kube-proxy":              runCobra(proxy),
		"kubelet":                 runCobra(kubelet),
	}
}

func main() {
	all := components()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(os.Args) < 2 || all[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: slipway-lab COMPONENT [flags]\ncomponents: %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	os.Exit(all[os.Args[1]](os.Args[2:]))
}
