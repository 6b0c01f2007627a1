package cli

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// TestModulesOfSlipway: the commands say of a part of Slipway what they do, which is little.
func TestModulesOfSlipway(t *testing.T) {
	w := newModulesWorld(t)
	m := w.module(v1alpha1.BuiltinDelivery, func(s *v1alpha1.ModuleSpec) {
		*s = v1alpha1.ModuleSpec{Source: v1alpha1.PackageSource{Builtin: &v1alpha1.BuiltinSource{Name: v1alpha1.BuiltinDelivery}}}
	}, func(s *v1alpha1.ModuleStatus) {
		at(s, v1alpha1.PhaseInstalled, "1.2.3 runs in the agent, in its version")
		s.Current = installedAt("1.2.3", oldDigest, "")
	})
	w.slipway("module", "list", "-o", "wide").want(t, ExitDone, "built in: delivery", "that of the agent", "with the agent")
	w.slipway("module", "show", m.Name).want(t, ExitDone, "1.2.3", "runs in the agent", "built in: delivery", "that of the agent")
	w.slipway("module", "plan", m.Name).want(t, ExitFailed, "is part of Slipway", "slipway module show "+m.Name)
	w.slipway("module", "pause", m.Name).want(t, ExitDone, "holds up nothing", "slipway suspend")
	w.slipway("module", "uninstall", m.Name, "--dry-run").want(t, ExitDone, "Stays: delivery, which runs in the agent")
	w.slipway("module", "uninstall", m.Name, "--yes").want(t, ExitDone, "module "+m.Name+" is uninstalled")
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(m), m); !apierrors.IsNotFound(err) {
		t.Errorf("the Module is still there: %v", err)
	}
}
