package upgrade

import (
	"context"
	"fmt"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// Advises says why an agent can't be upgraded by itself but only advised, with what to do; empty: it can.
func (d *Driver) Advises(ctx context.Context, running v1alpha1.AgentBuild) (string, error) {
	s, err := d.slot(ctx, running.Slot)
	if err != nil {
		return "", err
	}
	switch {
	case s == nil:
		return "", fmt.Errorf("slot %s isn't there: run 'slipway install'", running.Slot)
	case kube.KeeperOf(s) != (kube.Keeper{}):
		return fmt.Sprintf("the agent was installed by %s: upgrade it with that", kube.KeeperOf(s)), nil
	case d.opts.Off:
		return "self-upgrade is switched off here (" + OffEnv + "=off, or SELF_UPGRADE=false): upgrade with 'slipway install'", nil
	case !d.opts.Elects:
		return "this agent elects no leader (LEADER_ELECT=false): set it to true, or upgrade with 'slipway install'", nil
	}
	return "", nil
}
