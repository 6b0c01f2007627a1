package wanted

import (
	"slices"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Of is what others must know of a Module, by its spec and status; whether it is healthy isn't said. What its package requires is that of all it
// may have in the cluster: of what is installed, and of the attempt that is under way. Before the first of them it is the plan's.
func Of(m *v1alpha1.Module) Module {
	out := Module{Name: m.Name, Requires: m.Spec.DependsOn, Phase: m.Status.Phase, Deleting: !m.DeletionTimestamp.IsZero()}
	var counts []*v1alpha1.RevisionReference
	if c := m.Status.Current; c != nil {
		out.Version = c.Version
		counts = append(counts, c)
	}
	if a := m.Status.Attempt; a != nil {
		counts = append(counts, &a.Target)
	}
	if len(counts) == 0 && m.Status.Target != nil {
		counts = append(counts, m.Status.Target)
	}
	for _, r := range counts {
		out.Package = r.Package
		for _, one := range r.Requires {
			if !slices.Contains(out.PackageRequires, one) {
				out.PackageRequires = append(out.PackageRequires, one)
			}
		}
	}
	return out
}

// Resolved returns the modules with all that they require in Requires, by the names of modules. A module that has the name of a package that
// is required counts before those that have that package, and of these the first by name. What nobody has keeps its name.
func Resolved(all []Module) []Module {
	modules, packages := map[string]bool{}, map[string]string{}
	for _, m := range all {
		modules[m.Name] = true
		if first, known := packages[m.Package]; m.Package != "" && (!known || m.Name < first) {
			packages[m.Package] = m.Name
		}
	}
	out := slices.Clone(all)
	for i := range out {
		m := &out[i]
		if len(m.PackageRequires) == 0 {
			continue
		}
		own := m.Requires
		m.Requires = slices.Clone(own)
		for _, r := range m.PackageRequires {
			if name, known := packages[r.Module]; known && !modules[r.Module] {
				r.Module = name
			}
			replaced := func(o v1alpha1.ModuleDependency) bool {
				return o.Module == r.Module && (o.Version != "" || r.Version == "")
			}
			if !slices.ContainsFunc(own, replaced) {
				m.Requires = append(m.Requires, r)
			}
		}
		m.PackageRequires = nil
	}
	return out
}
