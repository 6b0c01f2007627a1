package agent_test

import (
	"context"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

// TestAnAgentHandsOver: an agent that leads finishes, lets go and ends when the lease is given to the other slot, whose agent leads then.
func TestAnAgentHandsOver(t *testing.T) {
	env := labtest.ControlPlane(t)
	env.Define(t, "source.toolkit.fluxcd.io_gitrepositories.yaml", "kustomize.toolkit.fluxcd.io_kustomizations.yaml", "slipway.dev_agentupgrades.yaml")
	ctrl.SetLogger(logr.Discard())
	leases := env.Clientset(t).CoordinationV1().Leases(env.Namespace)
	read := func() term.Holder {
		h, err := term.Read(t.Context(), leases, agent.Names().Agent)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	ended := map[v1alpha1.AgentSlot]chan error{}
	run := func(slot v1alpha1.AgentSlot) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended[slot] = make(chan error, 1)
		opts := agent.Options{DataDir: t.TempDir(), Namespaces: []string{env.Namespace}, LeaderElect: true, LeaseNamespace: env.Namespace, Slot: slot}
		go func() { ended[slot] <- agent.Run(ctx, env.Config, opts) }()
		return cancel
	}
	defer run(v1alpha1.SlotA)()
	await(t, func() bool { h := read(); return h.Slot == v1alpha1.SlotA && h.Taken }, func() string { return "slot a leads" })
	before := read()
	stop := run(v1alpha1.SlotB)
	if _, err := term.Give(t.Context(), leases, agent.Names().Agent, before.Tenure, v1alpha1.SlotB); err != nil {
		t.Fatal(err)
	}
	if err := <-ended[v1alpha1.SlotA]; err != nil {
		t.Errorf("slot a's agent ended with %v", err)
	}
	await(t, func() bool { h := read(); return h.Slot == v1alpha1.SlotB && h.Taken && h.Identity != before.Identity }, func() string { return "slot b leads" })
	stop()
	if err := <-ended[v1alpha1.SlotB]; err != nil {
		t.Errorf("slot b's agent ended with %v", err)
	}
}
