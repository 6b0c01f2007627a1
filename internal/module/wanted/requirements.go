package wanted

import (
	"cmp"
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

// Resolved returns the modules with all that they require in Requires, by the names of modules. A package is required by the name that it gives
// itself, or by that of its Module: anybody's may claim it, so that of several the one that meets the requirement best counts, and none of the
// others holds anybody up. What nobody has keeps its name.
func Resolved(all []Module) []Module {
	bearers := map[string][]Module{}
	for _, m := range all {
		bearers[m.Name] = append(bearers[m.Name], m)
		if m.Package != "" && m.Package != m.Name {
			bearers[m.Package] = append(bearers[m.Package], m)
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
			r.Module = bearer(r, m.Name, own, bearers[r.Module])
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

// bearer is the module that a requirement of a package is about, of those that bear the name: one that the Module names itself; then one that
// meets it; then one that may yet; then the one whose own name it is; then the first by name.
func bearer(r v1alpha1.ModuleDependency, by string, own []v1alpha1.ModuleDependency, all []Module) string {
	named := func(m Module) bool {
		return slices.ContainsFunc(own, func(o v1alpha1.ModuleDependency) bool { return o.Module == m.Name })
	}
	first := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	all = slices.DeleteFunc(slices.Clone(all), func(m Module) bool { return m.Name == by })
	if len(all) == 0 {
		return r.Module
	}
	return slices.MinFunc(all, func(a, b Module) int {
		return cmp.Or(
			cmp.Compare(first(named(a)), first(named(b))),
			cmp.Compare(b.meets(r), a.meets(r)),
			cmp.Compare(first(a.Name == r.Module), first(b.Name == r.Module)),
			cmp.Compare(a.Name, b.Name),
		)
	}).Name
}

// meets is how well a module meets a requirement: 3, it does and is at rest; 2, it does; 1, it isn't installed yet; 0, it doesn't.
func (m Module) meets(r v1alpha1.ModuleDependency) int {
	among, err := ParseRange(r.Version)
	switch {
	case err != nil || m.Deleting:
		return 0
	case m.Version == "":
		return 1
	case r.Version != "" && !among.Meets(m.Version):
		return 0
	case m.Healthy && !moving(m) && m.Phase != v1alpha1.PhasePlanning:
		return 3
	}
	return 2
}
