// Command slipway-addons is what a lab needs besides Kubernetes itself, in one
// binary: the first argument names the part to run, the rest is that part's
// own command line.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// addon runs one part until its process is told to stop and returns the exit
// code. args are the part's own, without its name.
type addon func(args []string) int

func addons() map[string]addon {
	return map[string]addon{
		"coredns":        runCoreDNS,
		"kwok":           runKwok,
		"metrics-server": runMetricsServer,
		"registry":       runRegistry,
	}
}

func main() {
	all := addons()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(os.Args) < 2 || all[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: slipway-addons PART [flags]\nparts: %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	os.Exit(all[os.Args[1]](os.Args[2:]))
}

// exitCode reports err the way the other parts do and says what to exit with.
func exitCode(part string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", part, err)
	return 1
}
