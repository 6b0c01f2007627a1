package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

func newAgentUpgrade(app *App) *cobra.Command {
	var (
		opts    upgrade.BeginOptions
		mode    string
		noWait  bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "upgrade IMAGE@sha256:DIGEST",
		Short: "Have the agent in a cluster replace itself by another version",
		Long: `Write an AgentUpgrade, which the agent in the cluster carries out: a pod of the new image tries whether it could work there,
the new agent starts in the free slot beside the old one, gets the lease, and has to prove itself. What fails is taken back by the old
agent.

The new version's definitions and roles are not the agent's to write: if it needs others, the probe says so and nothing happens.
Then apply those of the new version first, with its 'slipway install'.`,
		Example: `  slipway agent upgrade registry.example.com/slipway@sha256:4f… --version 0.9.0

  # Without room for two agents at once
  slipway agent upgrade registry.example.com/slipway@sha256:4f… --mode Recreate`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Version, "version", "", "version of the new agent, for people (default: the beginning of its digest)")
	flags.StringVar(&mode, "mode", string(v1alpha1.AgentUpgradeSlots), "Slots: beside the old one; Recreate: after it; Advise: only say what should be done")
	flags.DurationVar(&opts.ProveFor, "prove-for", 0, "how long the new agent has to prove itself (default 10m)")
	flags.DurationVar(&opts.ProbeTimeout, "probe-timeout", 0, "how long its probe may take (default 2m)")
	flags.BoolVar(&opts.Retry, "retry", false, "although this image has failed before")
	flags.BoolVar(&noWait, "no-wait", false, "don't wait until it has ended")
	flags.DurationVar(&timeout, "timeout", 30*time.Minute, "how long to wait")
	completeWords(cmd, "mode", string(v1alpha1.AgentUpgradeSlots), string(v1alpha1.AgentUpgradeRecreate), string(v1alpha1.AgentUpgradeAdvise))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.Image, opts.Mode = args[0], v1alpha1.AgentUpgradeMode(mode)
		c, err := app.connect()
		if err != nil {
			return err
		}
		s, err := newSelfUpgrader(c.config, "", logr.Discard())
		if err != nil {
			return err
		}
		u, err := s.driver.Begin(cmd.Context(), opts)
		if errors.Is(err, upgrade.ErrUsage) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		app.donef("AgentUpgrade %s written: from %s in slot %s to %s in slot %s", u.Name, u.Spec.From.Version, u.Spec.From.Slot, u.Spec.To.Version, u.Spec.To.Slot)
		if noWait {
			return nil
		}
		return app.awaitUpgrade(cmd.Context(), c, u, timeout)
	}
	return cmd
}

// awaitUpgrade follows an attempt until it has ended, and says so. An API server that doesn't answer for a while is asked again.
func (a *App) awaitUpgrade(ctx context.Context, c *cluster, u *v1alpha1.AgentUpgrade, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	shown := protocol.State("")
	err := c.watchOne(ctx, u.DeepCopy(), func() client.ObjectList { return &v1alpha1.AgentUpgradeList{} }, func(obj client.Object) (bool, error) {
		if now, ok := obj.(*v1alpha1.AgentUpgrade); ok {
			u = now.DeepCopy()
		}
		if u.Status.Phase != shown {
			shown = u.Status.Phase
			a.waitf("%s", readyMessage(u))
		}
		return shown.Ended(), nil
	})
	if err != nil {
		return fmt.Errorf("wait for AgentUpgrade %s, which is %s: %w", u.Name, cmp.Or(string(shown), "not begun"), cmp.Or(ctx.Err(), err))
	}
	if shown != protocol.Committed {
		return errors.New(readyMessage(u))
	}
	a.donef("%s", readyMessage(u))
	return nil
}

func readyMessage(u *v1alpha1.AgentUpgrade) string {
	if ready := apimeta.FindStatusCondition(u.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		return string(u.Status.Phase) + ": " + ready.Message
	}
	return string(u.Status.Phase)
}

func newAgentRollback(app *App) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "rollback [NAME]",
		Short: "Bring the agent back that ran before the last upgrade, whatever state it is in",
		Long: `Take an upgrade of the agent back, by hand: this command does what the old agent would do, with your rights, and needs none of
the two to work. It gives the lease to the old slot, scales that up as it was, waits until an agent there works, and removes the new one.

It is for the day on which nothing else helps. An upgrade that fails is taken back without it.`,
		Example: `  slipway agent rollback

  # One that isn't the last
  slipway agent rollback v0-9-0`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().DurationVar(&timeout, "timeout", reconcilePatience, "how long to wait until the old agent works")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		s, err := app.selfUpgrade("", logr.Discard())
		if err != nil {
			return err
		}
		u, err := s.driver.Latest(ctx, strings.Join(args, ""))
		if err != nil {
			return err
		}
		if s, err = app.selfUpgrade(u.Spec.From.Slot, logr.Discard()); err != nil {
			return err
		}
		app.waitf("taking back %s: from %s in slot %s to %s in slot %s", u.Name, u.Spec.To.Version, u.Spec.To.Slot, u.Spec.From.Version, u.Spec.From.Slot)
		if err := s.driver.TakeBack(ctx, u); err != nil {
			return err
		}
		app.donef("%s", readyMessage(u))
		return nil
	}
	return cmd
}

func newAgentGuard(app *App) *cobra.Command {
	var slot, level string
	cmd := &cobra.Command{
		Use:    "guard",
		Short:  "Take back an upgrade of the agent if it fails, while no old agent runs",
		Hidden: true, // the agent starts it, in mode Recreate
		Long: `Watch an upgrade in mode Recreate, in which the old agent ends before the new one starts, and take it back if it fails. The agent
starts it as a pod of the old image; it delivers nothing.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&slot, "slot", "a", "slot of the agent that ran before")
	cmd.Flags().StringVar(&level, "log-level", "info", "trace, debug, info or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := app.logger(level, "json")
		if err != nil {
			return err
		}
		place, err := parseSlot(slot)
		if err != nil {
			return err
		}
		s, err := app.selfUpgrade(place, log)
		if err != nil {
			return err
		}
		return s.driver.Run(cmd.Context(), s.client)
	}
	return cmd
}

// selfUpgrader is a driver of the agent's upgrades that acts from outside.
type selfUpgrader struct {
	driver *upgrade.Driver
	client client.WithWatch
}

// selfUpgrade prepares to act as a slot, with the rights of the kubeconfig.
func (a *App) selfUpgrade(slot v1alpha1.AgentSlot, log logr.Logger) (*selfUpgrader, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	return newSelfUpgrader(c.config, slot, log)
}

func newSelfUpgrader(config *rest.Config, slot v1alpha1.AgentSlot, log logr.Logger) (*selfUpgrader, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	watching, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("prepare to look after the agent's upgrades: %w", err)
	}
	leases, err := coordination.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare to look after the agent's upgrades: %w", err)
	}
	return &selfUpgrader{client: watching, driver: upgrade.New(upgrade.Options{
		Client: watching, Leases: leases.Leases(deploy.Namespace), Namespace: deploy.Namespace, Name: agent.Names(), Slot: slot, Elects: true,
		Log: log.WithName("upgrade"),
	})}, nil
}

// workingSlot is the name of the agent's StatefulSet that has the lease: an upgrade of the agent changes to another one.
func (c *cluster) workingSlot(ctx context.Context) (string, error) {
	slotA, err := newSelfUpgrader(c.config, v1alpha1.SlotA, logr.Discard())
	if err != nil {
		return "", err
	}
	elsewhere, err := slotA.driver.Elsewhere(ctx)
	if err != nil && !apierrors.IsForbidden(err) {
		return "", err
	}
	if elsewhere {
		return agent.Names().Workload(v1alpha1.SlotB), nil
	}
	return agent.Names().Workload(v1alpha1.SlotA), nil
}
