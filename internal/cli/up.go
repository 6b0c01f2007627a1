package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/lab"
)

// upPatience is how long a lab may take to become ready once its programs are built.
const upPatience = 5 * time.Minute

// labOverlay is what a lab's Slipway is installed with: one replica.
const labOverlay = "dev"

func newUp(app *App) *cobra.Command {
	var (
		opts  = lab.Options{Progress: lab.NewProgress(app.Err, app.err.terminal)}
		nodes string
		bare  bool
		grant []string
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a local Kubernetes with Slipway in it",
		Long: `Start a lab: a Kubernetes cluster on this machine, built from source, in a folder of its own and in the background.

The first one on a machine builds Kubernetes, which takes some minutes; after that it is seconds. Run again, it starts what
has crashed of the lab, brings the Slipway in it up to date with this binary, and changes nothing else. Several labs live side
by side under different names.

--nodes says what runs pods:
  real       containerd and kubelet in namespaces of their own, DNS, metrics-server and a registry; needs root on Linux
  simulated  pods become ready without running anything; needs no root
  none       the control plane alone
Without the flag it is the best that the machine allows, and the command says which and why.

Slipway is installed as 'slipway install --overlay dev' does it: it applies as the service account that each Kustomization names.
'--grant cluster-admin' lets it apply anything under its own name; without the flag, a lab keeps the grant that it has, and '--grant ""' takes it back.`,
		Example: `  slipway up

  # Three nodes, and nothing in them yet
  slipway up --name big --workers 3 --bare

  # Kustomizations without a service account may apply anything
  slipway up --grant cluster-admin

  # Without root
  slipway up --nodes simulated

  # Use it with kubectl
  slipway kubeconfig > lab.yaml && export KUBECONFIG=$PWD/lab.yaml`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	addLabName(app, cmd, &opts.Name)
	flags.StringVar(&nodes, "nodes", "", "what runs pods: real, simulated, none (default: the best that the machine allows)")
	flags.IntVar(&opts.Workers, "workers", 0, "how many nodes (default 1)")
	flags.BoolVar(&bare, "bare", false, "the cluster alone, without Slipway")
	flags.StringSliceVar(&grant, "grant", nil, "wider rights for Slipway in the lab: "+strings.Join(deploy.Grants(), ", ")+" (default: as the lab has it, none in a new one)")
	completeWords(cmd, "grant", deploy.Grants()...)
	flags.DurationVar(&opts.Wait, "wait", upPatience, "how long to wait until everything is ready")
	complete := cobra.FixedCompletions([]string{string(lab.Real), string(lab.Simulated), string(lab.None)}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("nodes", complete); err != nil {
		panic(err) // the flag is defined a few lines above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.Nodes = lab.Nodes(nodes)
		if flags.Changed("workers") && opts.Workers < 1 {
			return usagef("--workers %d: a lab with nodes has 1 at least; '--nodes none' is the control plane alone", opts.Workers)
		}
		for _, name := range grant {
			if !slices.Contains(deploy.Grants(), name) {
				return usagef("--grant %s: there is only %s", name, strings.Join(deploy.Grants(), ", "))
			}
		}
		in := labInstall{app: app, grant: grant, keepGrant: !flags.Changed("grant"), timeout: cmp.Or(opts.Wait, upPatience)}
		if !bare {
			opts.Install = in.install
		}
		l, err := lab.Up(cmd.Context(), opts)
		if wrong := new(lab.OptionsError); errors.As(err, &wrong) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		if err := in.settle(cmd.Context(), l, bare, opts.Progress); err != nil {
			return err
		}
		app.sayWhatNext(l)
		return nil
	}
	return cmd
}

// sayWhatNext ends slipway up.
func (a *App) sayWhatNext(l *lab.Lab) {
	a.donef("lab %s is up: Kubernetes %s, nodes %s", l.Name(), l.Version(), l.Nodes())
	name := ""
	if l.Name() != lab.DefaultName {
		name = " --name " + l.Name()
	}
	fmt.Fprintf(a.Out, "\n  export KUBECONFIG=%s\n  kubectl get pods -A\n  slipway get all -A\n  slipway status%s\n  slipway down%s\n",
		l.Kubeconfig(), name, name)
}

// addLabName gives cmd the flag --name, with the existing labs as completions. --lab, which all commands have, means the same here.
func addLabName(app *App, cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "name", lab.DefaultName, "name of the lab; --lab says the same")
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, err := lab.Names()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("name", complete); err != nil {
		panic(err) // the flag is defined a few lines above
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		flags := cmd.Flags()
		if flags.Changed("lab") {
			if flags.Changed("name") && *name != app.cluster.lab {
				return usagef("--name %s and --lab %s are two labs: give one of the flags", *name, app.cluster.lab)
			}
			*name = app.cluster.lab
		}
		if *name == "" {
			return usagef("the name of the lab is empty; leave the flag out for lab %s", lab.DefaultName)
		}
		return nil
	}
}
