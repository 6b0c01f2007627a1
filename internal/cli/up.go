package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/image"
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
has crashed of the lab and changes nothing else. Several labs live side by side under different names.

--nodes says what runs pods:
  real       containerd and kubelet in namespaces of their own, DNS, metrics-server and a registry; needs root on Linux
  simulated  pods become ready without running anything; needs no root
  none       the control plane alone
Without the flag it is the best that the machine allows, and the command says which and why.

Slipway is installed as 'slipway install --overlay dev' does it: it applies as the service account that each Kustomization names.
'--grant cluster-admin' lets it apply anything under its own name.`,
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
	addLabName(cmd, &opts.Name)
	flags.StringVar(&nodes, "nodes", "", "what runs pods: real, simulated, none (default: the best that the machine allows)")
	flags.IntVar(&opts.Workers, "workers", 0, "how many nodes (default 1)")
	flags.BoolVar(&bare, "bare", false, "the cluster alone, without Slipway")
	flags.StringSliceVar(&grant, "grant", nil, "wider rights for Slipway in the lab: "+strings.Join(deploy.Components(), ", ")+" (default: none)")
	completeWords(cmd, "grant", deploy.Components()...)
	flags.DurationVar(&opts.Wait, "wait", upPatience, "how long to wait until everything is ready")
	complete := cobra.FixedCompletions([]string{string(lab.Real), string(lab.Simulated), string(lab.None)}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("nodes", complete); err != nil {
		panic(err) // the flag is defined a few lines above
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.Nodes = lab.Nodes(nodes)
		if !bare {
			opts.Install = func(ctx context.Context, l *lab.Lab) error { return app.installIntoLab(ctx, l, grant) }
		}
		l, err := lab.Up(cmd.Context(), opts)
		if wrong := new(lab.OptionsError); errors.As(err, &wrong) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		app.sayWhatNext(l)
		return nil
	}
	return cmd
}

// installIntoLab brings this very binary into the lab and installs it there. Where pods don't run, there is nothing to install.
func (a *App) installIntoLab(ctx context.Context, l *lab.Lab, grant []string) error {
	if l.Nodes() != lab.Real {
		a.warnf("Slipway isn't installed in the lab: its nodes are %s and run no containers. Run it beside the cluster:\n"+
			"  slipway agent --lab %s", l.Nodes(), l.Name())
		return nil
	}
	ref, err := a.loadSelf(ctx, l)
	if err != nil {
		return err
	}
	objs, err := renderInstall(deploy.Options{Overlay: labOverlay, Components: grant, Image: ref})
	if err != nil {
		return err
	}
	config, err := l.Config()
	if err != nil {
		return err
	}
	c, err := newCluster(config, deploy.Namespace)
	if err != nil {
		return err
	}
	quiet := newApp(Streams{In: a.In, Out: a.Err, Err: a.Err})
	return quiet.install(ctx, c, objs, installOptions{wait: true, timeout: reconcilePatience})
}

// loadSelf makes an image of the running binary, brings it into the lab's registry and returns its name. The tag is made of the
// digest: another binary is another image.
func (a *App) loadSelf(ctx context.Context, l *lab.Lab) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this binary: %w", err)
	}
	img, err := image.Build(image.Spec{Binary: self, CACerts: hostCACerts()})
	if err != nil {
		return "", fmt.Errorf("make an image of %s: %w", filepath.Base(self), err)
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("make an image of %s: %w", filepath.Base(self), err)
	}
	tag, err := image.ParseTag(deploy.Image + ":" + digest.Hex[:12])
	if err != nil {
		return "", err
	}
	if _, err := image.Push(ctx, l.Registry(), tag, img); err != nil {
		return "", err
	}
	return image.FullName(tag), nil
}

// hostCACerts is the host's bundle of certificate authorities, so that the agent trusts the same Git servers; empty if there is
// none.
func hostCACerts() string {
	const bundle = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(bundle); err != nil {
		return ""
	}
	return bundle
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

// addLabName gives cmd the flag --name, with the existing labs as completions.
func addLabName(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "name", lab.DefaultName, "name of the lab")
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
}
