package cli

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
)

// parseSlot reads the name of a slot; nothing stands for none.
func parseSlot(word string) (v1alpha1.AgentSlot, error) {
	switch slot := v1alpha1.AgentSlot(word); slot {
	case "", v1alpha1.SlotA, v1alpha1.SlotB:
		return slot, nil
	}
	return "", usagef("--slot %q is neither a nor b", word)
}

// probeAgent tries whether an agent of this version could work here, prints what it finds, and writes it to where the agent that runs reads
// it.
func (a *App) probeAgent(ctx context.Context, config *rest.Config, f *agentFlags) error {
	report, err := agent.Probe(ctx, config, f.Options)
	if err != nil {
		return err
	}
	for _, check := range report.Checks {
		mark := "passed"
		if !check.Passed {
			mark = "failed"
		}
		a.donef("%s %s: %s", check.Name, mark, check.Message)
	}
	text, err := report.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.probeResult, text, 0o644); err != nil && !os.IsNotExist(err) && !os.IsPermission(err) {
		return fmt.Errorf("write the probe's result: %w", err)
	}
	if !report.Passed() {
		return fmt.Errorf("this version of the agent can't work here: %s", report.Failures())
	}
	return nil
}
