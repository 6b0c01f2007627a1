package wanted

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Module is what others must know of a module.
type Module struct {
	// Name of the Module.
	Name string
	// Package is the name of its package. Empty: not known.
	Package string
	// Requires is what has to be there first, by the names of modules.
	Requires []v1alpha1.ModuleDependency
	// PackageRequires is what its package requires besides, by the names of packages or modules. What Requires says of the same module in a
	// version counts in its place.
	PackageRequires []v1alpha1.ModuleDependency
	// Version that is installed. Empty: none.
	Version string
	// Healthy says that what is installed is healthy, whatever becomes of an upgrade.
	Healthy bool
	// Phase is where it is on its way.
	Phase v1alpha1.ModulePhase
	// Deleting says that the Module was deleted.
	Deleting bool
}

// Ordering is an order of modules by their requirements.
type Ordering struct {
	// Names are all modules, each after those that it requires, and by name where that leaves a choice. Those of a cycle stand together.
	Names []string
	// Cycles are modules that require each other, each cycle as the way around it, from the first by name: a, b stands for a → b → a.
	Cycles [][]string

	cycleOf map[string]int
}

// Order puts modules into the order in which they can be installed. What is required and isn't among them is left out.
func Order(all []Module) Ordering {
	g := graphOf(Resolved(all))
	o := Ordering{cycleOf: map[string]int{}}
	for _, group := range g.components() {
		o.Names = append(o.Names, group...)
		if len(group) > 1 || slices.Contains(g.requires[group[0]], group[0]) {
			for _, name := range group {
				o.cycleOf[name] = len(o.Cycles)
			}
			o.Cycles = append(o.Cycles, g.around(group))
		}
	}
	return o
}

// CycleOf returns the cycle that a module is in, in words: "a → b → a". Empty: it is in none.
func (o Ordering) CycleOf(name string) string {
	n, ok := o.cycleOf[name]
	if !ok {
		return ""
	}
	around := o.Cycles[n]
	return strings.Join(append(slices.Clone(around), around[0]), " → ")
}

// together says whether two modules require each other.
func (o Ordering) together(a, b string) bool {
	n, ok := o.cycleOf[a]
	m, also := o.cycleOf[b]
	return ok && also && n == m
}

// graph is who requires whom, among those that are there.
type graph struct {
	names    []string
	requires map[string][]string
}

func graphOf(all []Module) graph {
	g := graph{requires: map[string][]string{}}
	there := map[string]bool{}
	for _, m := range all {
		there[m.Name] = true
	}
	for _, m := range all {
		for _, r := range m.Requires {
			if there[r.Module] {
				g.requires[m.Name] = append(g.requires[m.Name], r.Module)
			}
		}
		g.names = append(g.names, m.Name)
	}
	slices.Sort(g.names)
	g.names = slices.Compact(g.names)
	for name := range g.requires {
		slices.Sort(g.requires[name])
		g.requires[name] = slices.Compact(g.requires[name])
	}
	return g
}

// components are the groups of modules that require each other, most of them of one; each after those that it requires (Tarjan's algorithm).
func (g graph) components() [][]string {
	var (
		groups [][]string
		stack  []string
		index  = map[string]int{} // from 1
		low    = map[string]int{}
		open   = map[string]bool{}
		visit  func(string)
	)
	visit = func(name string) {
		index[name] = len(index) + 1
		low[name] = index[name]
		stack, open[name] = append(stack, name), true
		for _, to := range g.requires[name] {
			if index[to] == 0 {
				visit(to)
				low[name] = min(low[name], low[to])
			} else if open[to] {
				low[name] = min(low[name], index[to])
			}
		}
		if low[name] != index[name] {
			return
		}
		from := slices.Index(stack, name)
		group := slices.Clone(stack[from:])
		stack = stack[:from]
		for _, one := range group {
			open[one] = false
		}
		slices.Sort(group)
		groups = append(groups, group)
	}
	for _, name := range g.names {
		if index[name] == 0 {
			visit(name)
		}
	}
	return groups
}

// around is the shortest way from the first of a group back to it.
func (g graph) around(group []string) []string {
	first := group[0]
	from := map[string]string{}
	queue := []string{first}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, to := range g.requires[at] {
			if to == first {
				way := []string{at}
				for at != first {
					at = from[at]
					way = append(way, at)
				}
				slices.Reverse(way)
				return way
			}
			if _, seen := from[to]; !seen && slices.Contains(group, to) {
				from[to] = at
				queue = append(queue, to)
			}
		}
	}
	return group
}

// Waits says for which other modules one has to wait before anything of it is begun, each with what to do. One that fails, or waits for a person,
// holds up only those whose requirements aren't met by what is installed, and one that was never installed none that it requires.
func Waits(name string, all []Module) []string {
	all = Resolved(all)
	byName := map[string]Module{}
	for _, m := range all {
		byName[m.Name] = m
	}
	order := sync.OnceValue(func() Ordering { return Order(all) }) // few need it, and it is of all modules
	var reasons []string
	for _, r := range byName[name].Requires {
		reason := unmet(r, byName)
		switch {
		case reason != "" && byName[r.Module].Version == "" && order().together(name, r.Module):
			reason += fmt.Sprintf(". It never will be, as %s require each other: remove one of the requirements", order().CycleOf(name))
		case reason == "" && (moving(byName[r.Module]) || byName[r.Module].Phase == v1alpha1.PhasePlanning && !order().together(name, r.Module)):
			reason = fmt.Sprintf("module %s, which it requires, is %s: it comes first", r.Module, byName[r.Module].Phase)
		}
		if reason != "" && !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	for _, m := range all {
		if m.Name != name && m.Version != "" && moving(m) && slices.ContainsFunc(m.Requires, func(r v1alpha1.ModuleDependency) bool { return r.Module == name }) && !requires(byName[name], m.Name) {
			reasons = append(reasons, fmt.Sprintf("module %s, which requires this one, is %s: it is proved before this one changes", m.Name, m.Phase))
		}
	}
	return reasons
}

// unmet says why a requirement isn't met by what is installed, with what to do. Empty: it is.
func unmet(r v1alpha1.ModuleDependency, all map[string]Module) string {
	m, there := all[r.Module]
	among, err := ParseRange(r.Version)
	switch {
	case err != nil:
		return fmt.Sprintf("module %s in a version that is wrongly written: %s", r.Module, err)
	case !there:
		return fmt.Sprintf("module %s isn't there: create it", withRange(r))
	case m.Deleting:
		return fmt.Sprintf("module %s is being uninstalled: create it again", withRange(r))
	case m.Version == "":
		return fmt.Sprintf("module %s isn't installed yet", withRange(r))
	case r.Version != "" && !among.Meets(m.Version):
		return fmt.Sprintf("module %s is installed in version %s: bring it to one in %q", r.Module, m.Version, r.Version)
	case !m.Healthy:
		return fmt.Sprintf("module %s isn't healthy: `slipway module show %s` says why", r.Module, r.Module)
	}
	return ""
}

func withRange(r v1alpha1.ModuleDependency) string {
	if r.Version == "" {
		return r.Module
	}
	return fmt.Sprintf("%s (%s)", r.Module, r.Version)
}

func requires(m Module, name string) bool {
	return slices.ContainsFunc(m.Requires, func(r v1alpha1.ModuleDependency) bool { return r.Module == name })
}

// moving says whether objects of a module are being changed.
func moving(m Module) bool {
	switch m.Phase {
	case v1alpha1.PhasePreparing, v1alpha1.PhaseApplying, v1alpha1.PhaseSoaking, v1alpha1.PhaseCommitting, v1alpha1.PhaseRollingBack:
		return true
	}
	return false
}

// Broken says which modules would have less than they require if another one were brought to a version, or uninstalled (""). Those that are
// broken already, are being deleted, or aren't installed, don't count.
func Broken(name, version string, all []Module) []string {
	all = Resolved(all)
	var now string
	for _, m := range all {
		if m.Name == name {
			now = m.Version
		}
	}
	var reasons []string
	for _, m := range all {
		if m.Name == name || m.Deleting || m.Version == "" {
			continue
		}
		for _, r := range m.Requires {
			among, err := ParseRange(r.Version)
			if r.Module != name || err != nil || r.Version != "" && !among.Meets(now) {
				continue
			}
			switch {
			case version == "":
				reasons = append(reasons, fmt.Sprintf("module %s requires %s: uninstall it first, or remove the requirement", m.Name, withRange(r)))
			case r.Version != "" && !among.Meets(version):
				reasons = append(reasons, fmt.Sprintf("module %s requires %s in version %s, and not %s: bring %s to a version that allows it first", m.Name, name, r.Version, version, m.Name))
			}
		}
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}
