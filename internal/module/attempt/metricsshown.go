package attempt

import "github.com/slipway-dev/slipway/api/v1alpha1"

// Show shows how a module is that another package reconciles. before is the phase that it was in.
func (m *Metrics) Show(of *v1alpha1.Module, before v1alpha1.ModulePhase) {
	if of.Status.Phase != before {
		m.moved(of.Name, of.Status.Phase)
	}
	m.state(of, of.Status.Phase)
}

// Forget drops the series of such a module, which is gone.
func (m *Metrics) Forget(module string) { m.forget(module) }
