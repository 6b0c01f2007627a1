package cli

import "github.com/slipway-dev/slipway/api/v1alpha1"

// builtinStays says of a part of Slipway what its uninstallation leaves, which is everything; empty: it is no part of Slipway.
func builtinStays(m *v1alpha1.Module) string {
	switch b := m.Spec.Source.Builtin; {
	case b == nil:
		return ""
	case b.Name == v1alpha1.BuiltinAgent:
		return "the agent, in the version that it has; it isn't upgraded by itself any more. 'slipway uninstall' removes it"
	default:
		return b.Name + ", which runs in the agent; only the Module that tells of it goes"
	}
}

// builtinPause says of what runs in the agent what a pause holds up, which is nothing; empty: it holds up upgrades.
func builtinPause(m *v1alpha1.Module) string {
	if b := m.Spec.Source.Builtin; b != nil && b.Name != v1alpha1.BuiltinAgent {
		return b.Name + " runs in the agent and has no upgrades of its own, so this holds up nothing; 'slipway suspend' holds up single objects"
	}
	return ""
}
