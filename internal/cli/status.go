package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/internal/lab"
)

func newStatus(app *App) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs of a lab",
		Long: `Show every component and node of a lab: whether it runs and answers, since when, and where its log is.

Exit code 1 says that something is down or not ready; 'slipway up' mends it.`,
		Example: `  slipway status

  slipway status --name two -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addLabName(app, cmd, &name)
	out := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := lab.Open(name)
		if err != nil {
			return err
		}
		status, err := l.Status(cmd.Context())
		if err != nil {
			return err
		}
		if out.value == formatTable {
			err = app.printStatus(status)
		} else {
			err = app.write(out.value, status)
		}
		if err == nil && !status.Healthy() {
			app.warnf("not everything runs; 'slipway up --name %s' mends it", status.Name)
			err = quietError{fmt.Errorf("lab %s is not healthy", status.Name)}
		}
		return err
	}
	return cmd
}

func (a *App) printStatus(status lab.Status) error {
	fmt.Fprintf(a.Out, "lab %s: Kubernetes %s at %s, nodes %s\n", status.Name, status.Kubernetes, status.Server, status.Nodes)
	if status.Registry != "" {
		fmt.Fprintf(a.Out, "registry %s, pods reach this machine as %s (%s)\n", status.Registry, lab.HostName, status.Gateway)
	}
	fmt.Fprintln(a.Out)
	components := table{header: []string{"COMPONENT", "STATE", "PID", "SINCE", "LOG"}}
	for _, c := range status.Components {
		pid, since := "-", "-"
		if c.PID != 0 {
			pid, since = strconv.Itoa(c.PID), a.age(*c.Since)
		}
		components.add(c.Name, a.labState(c.State), pid, since, c.Log)
	}
	if err := a.printTable(components); err != nil || len(status.Workers) == 0 {
		return err
	}
	fmt.Fprintln(a.Out)
	nodes := table{header: []string{"NODE", "STATE", "ADDRESS", "MESSAGE"}}
	for _, n := range status.Workers {
		nodes.add(n.Name, a.labState(n.State), orDash(n.Address), orDash(n.Message))
	}
	return a.printTable(nodes)
}

func (a *App) labState(state lab.State) string {
	switch state {
	case lab.StateRunning, lab.StateReady:
		return a.out.good(string(state))
	case lab.StateDown, lab.StateNotReady, lab.StateUnknown:
		return a.out.bad(string(state))
	}
	return string(state)
}
