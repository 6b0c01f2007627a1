package wanted_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// packaged has modules with packages of these names, as "name=package".
func packaged(all []wanted.Module, names ...string) []wanted.Module {
	for _, pair := range names {
		name, of, _ := strings.Cut(pair, "=")
		at := slices.IndexFunc(all, func(m wanted.Module) bool { return m.Name == name })
		all[at].Package, all[at].PackageRequires, all[at].Requires = of, all[at].Requires, nil
	}
	return all
}

// modules reads "runner 1.4.2 Installed: cert-manager >=1.14, flagger"; the version - is none; a "!" after the phase: not healthy; "x": it is
// being deleted.
func modules(lines ...string) []wanted.Module {
	var all []wanted.Module
	for _, line := range lines {
		what, requires, _ := strings.Cut(line, ":")
		words := append(strings.Fields(what), "", "", "")
		m := wanted.Module{Name: words[0], Version: strings.TrimPrefix(words[1], "-"), Healthy: true}
		phase, sick := strings.CutSuffix(words[2], "!")
		m.Phase, m.Healthy, m.Deleting = v1alpha1.ModulePhase(phase), !sick, words[3] == "x"
		for r := range strings.SplitSeq(requires, ",") {
			if name, version, _ := strings.Cut(strings.TrimSpace(r), " "); name != "" {
				m.Requires = append(m.Requires, v1alpha1.ModuleDependency{Module: name, Version: version})
			}
		}
		all = append(all, m)
	}
	return all
}

func TestOrder(t *testing.T) {
	cases := map[string]struct {
		reason string
		all    []wanted.Module
		want   []string
		cycles []string
	}{
		"Nothing":   {reason: "nothing"},
		"Names":     {reason: "without requirements by name", all: modules("b", "a", "c"), want: []string{"a", "b", "c"}},
		"Chain":     {reason: "what is required comes first", all: modules("a: b", "b: c", "c"), want: []string{"c", "b", "a"}},
		"Diamond":   {reason: "each once", all: modules("a: b, c", "b: d", "c: d", "d"), want: []string{"d", "b", "c", "a"}},
		"Missing":   {reason: "what isn't there has no place", all: modules("a: z", "b"), want: []string{"a", "b"}},
		"Twice":     {reason: "required by the person and by the package", all: modules("a: b >=1, b <2", "b"), want: []string{"b", "a"}},
		"Cycle":     {reason: "two that require each other", all: modules("a: b", "b: a"), want: []string{"a", "b"}, cycles: []string{"a → b → a"}},
		"Itself":    {reason: "a package that requires itself", all: modules("a: a", "b"), want: []string{"a", "b"}, cycles: []string{"a → a"}},
		"LongCycle": {reason: "named as the way around", all: modules("c: a", "a: b", "b: d", "d: c", "e: a"), want: []string{"a", "b", "c", "d", "e"}, cycles: []string{"a → b → d → c → a"}},
		"Shortest":  {reason: "of several ways the shortest", all: modules("a: b, c", "b: c", "c: a"), want: []string{"a", "b", "c"}, cycles: []string{"a → c → a"}},
		"TwoCycles": {reason: "each cycle by itself", all: modules("a: b", "b: a", "x: y, a", "y: x"), want: []string{"a", "b", "x", "y"}, cycles: []string{"a → b → a", "x → y → x"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := wanted.Order(tc.all)
			if diff := cmp.Diff(tc.want, got.Names); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			var cycles []string
			for _, c := range got.Cycles {
				cycles = append(cycles, got.CycleOf(c[0]))
			}
			if diff := cmp.Diff(tc.cycles, cycles); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// random makes modules with random requirements; without cycles if so wanted.
func random(r *rand.Rand, most int, cycles bool) []wanted.Module {
	n := 1 + r.IntN(most)
	all := make([]wanted.Module, n)
	for i, name := range r.Perm(n) {
		all[i] = wanted.Module{Name: fmt.Sprintf("m%02d", name), Healthy: true}
		for range r.IntN(4) {
			if to := r.IntN(n); cycles || to < name {
				all[i].Requires = append(all[i].Requires, v1alpha1.ModuleDependency{Module: fmt.Sprintf("m%02d", to)})
			}
		}
	}
	return all
}

// TestOrderHolds: all modules are in the order, each after what it requires, unless they require each other; and what is called a cycle is one.
func TestOrderHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		all := random(r, 12, true)
		got := wanted.Order(all)
		place := map[string]int{}
		for i, name := range got.Names {
			place[name] = i
		}
		if len(place) != len(all) || len(got.Names) != len(all) {
			t.Fatalf("%v: the order is %v", all, got.Names)
		}
		requires := map[[2]string]bool{}
		for _, m := range all {
			for _, dep := range m.Requires {
				requires[[2]string{m.Name, dep.Module}] = true
				if place[dep.Module] >= place[m.Name] && (got.CycleOf(m.Name) == "" || got.CycleOf(m.Name) != got.CycleOf(dep.Module)) {
					t.Fatalf("%v: %s comes before %s, which it requires", all, m.Name, dep.Module)
				}
			}
		}
		for _, cycle := range got.Cycles {
			for i, name := range cycle {
				if !requires[[2]string{name, cycle[(i+1)%len(cycle)]}] {
					t.Fatalf("%v: %v is no cycle", all, cycle)
				}
			}
		}
		shuffled := slices.Clone(all)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := wanted.Order(shuffled); !slices.Equal(again.Names, got.Names) {
			t.Fatalf("%v: in another order %v, and not %v", all, again.Names, got.Names)
		}
	}
}

func TestWaits(t *testing.T) {
	cases := map[string]struct {
		reason string
		all    []wanted.Module
		want   []string // a part of each
	}{
		"Nothing":       {reason: "no requirements", all: modules("a - Planned")},
		"Met":           {reason: "installed, healthy, in the range", all: modules("a - Planned: b >=1.14 <2", "b 1.14.0 Installed")},
		"MetAny":        {reason: "any version, also one before a release", all: modules("a - Planned: b", "b 1.14.0-rc.1 Installed")},
		"MetBefore":     {reason: "what comes before a release, and after what is required, has it all", all: modules("a - Planned: b >=1.14", "b 1.15.0-rc.1 Installed")},
		"NotMetBefore":  {reason: "and what comes before it hasn't", all: modules("a - Planned: b >=1.14", "b 1.14.0-rc.1 Installed"), want: []string{"in version 1.14.0-rc.1"}},
		"Missing":       {reason: "isn't there", all: modules("a - Planned: b >=1.14"), want: []string{"module b (>=1.14) isn't there: create it"}},
		"NotYet":        {reason: "isn't installed", all: modules("a - Planned: b", "b - Planned"), want: []string{"isn't installed yet"}},
		"Version":       {reason: "in another version", all: modules("a - Planned: b >=1.14", "b 1.13.2 Installed"), want: []string{`in version 1.13.2: bring it to one in ">=1.14"`}},
		"Sick":          {reason: "isn't healthy", all: modules("a - Planned: b", "b 1.14.0 Installed!"), want: []string{"isn't healthy"}},
		"Going":         {reason: "is being deleted", all: modules("a - Planned: b", "b 1.14.0 Uninstalling x"), want: []string{"is being uninstalled"}},
		"BadRange":      {reason: "what is no range", all: modules("a - Planned: b newest", "b 1.14.0 Installed"), want: []string{"neither a version nor a range"}},
		"Soaking":       {reason: "what it requires is being changed: it comes first", all: modules("a 1.0.0 Planned: b", "b 1.14.0 Soaking"), want: []string{"is Soaking: it comes first"}},
		"Planning":      {reason: "and is about to be", all: modules("a 1.0.0 Planned: b", "b 1.14.0 Planning"), want: []string{"is Planning"}},
		"Blocked":       {reason: "what waits, or failed, holds nobody up whose requirements are met", all: modules("a 1.0.0 Planned: b, c, d, e", "b 1.14.0 Blocked", "c 1.0.0 Planned", "d 1.0.0 RolledBack", "e 1.0.0 Pending")},
		"Frozen":        {reason: "what is frozen and not healthy does", all: modules("a 1.0.0 Planned: b", "b 1.14.0 Frozen!"), want: []string{"isn't healthy"}},
		"Dependant":     {reason: "who requires it is being proved: it would be blamed for what changes beneath it", all: modules("a 1.0.0 Soaking: b", "b 1.14.0 Planned"), want: nil},
		"Cycle":         {reason: "two that wait for each other never begin, and it is said", all: modules("a - Planned: b", "b - Planned: a"), want: []string{"a → b → a require each other"}},
		"CycleThere":    {reason: "where both are there, a cycle does no harm", all: modules("a 1.0.0 Planned: b", "b 1.0.0 Installed: a")},
		"CyclePlanning": {reason: "and nobody waits for the other's plan, or both would for ever", all: modules("a 1.0.0 Planned: b", "b 1.0.0 Planning: a")},
		"OnCycle":       {reason: "who depends on a cycle says what it waits for; the cycle is told by its own", all: modules("a - Planned: b", "b - Planned: c", "c - Planned: b"), want: []string{"module b isn't installed yet"}},
		"TwiceSame":     {reason: "required by the person and by the package: said once", all: modules("a - Planned: b, b"), want: []string{"isn't there"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := wanted.Waits("a", tc.all)
			if len(got) != len(tc.want) {
				t.Fatalf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			for i, part := range tc.want {
				if !strings.Contains(got[i], part) {
					t.Errorf("%s: got %q, want %q", tc.reason, got[i], part)
				}
			}
		})
	}
	if got := wanted.Waits("b", cases["Dependant"].all); len(got) != 1 || !strings.Contains(got[0], "it is proved before this one changes") {
		t.Errorf("who requires it is being proved: got %q", got)
	}
}

// TestAllComeToTheirTurn plays many modules that all want another version at the same time: each comes to its turn, none changes beside one that it
// requires, first installations go in the order of the requirements, and those that fail hold up only those that need them.
func TestAllComeToTheirTurn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 600 {
		installed := round%2 == 0
		all := random(r, 10, installed) // with cycles where everything is there already
		failing := map[string]bool{}
		for i := range all {
			all[i].Phase = v1alpha1.PhasePlanning
			if installed {
				all[i].Version = "1.0.0"
			}
			if r.IntN(6) == 0 {
				failing[all[i].Name] = true
			}
		}
		for range 400 {
			i := r.IntN(len(all))
			m := &all[i]
			switch m.Phase {
			case v1alpha1.PhasePlanning, v1alpha1.PhasePlanned:
				m.Phase = v1alpha1.PhasePlanned
				if m.Version == "2.0.0" || len(wanted.Waits(m.Name, all)) > 0 {
					break
				}
				for _, other := range all {
					if other.Phase == v1alpha1.PhaseApplying && (requires(*m, other.Name) || requires(other, m.Name)) && !(requires(*m, other.Name) && requires(other, m.Name)) {
						t.Fatalf("%v: %s begins beside %s", all, m.Name, other.Name)
					}
				}
				m.Phase = v1alpha1.PhaseApplying
			case v1alpha1.PhaseApplying:
				if m.Phase = v1alpha1.PhaseInstalled; failing[m.Name] {
					m.Phase = v1alpha1.PhaseRolledBack
				} else {
					m.Version = "2.0.0"
				}
			}
		}
		held := func(m wanted.Module) bool { // a first installation beneath it failed
			if installed {
				return false
			}
			below := []string{m.Name}
			for i := 0; i < len(below); i++ {
				for _, o := range all {
					if o.Name == below[i] {
						for _, dep := range o.Requires {
							if failing[dep.Module] {
								return true
							}
							if !slices.Contains(below, dep.Module) {
								below = append(below, dep.Module)
							}
						}
					}
				}
			}
			return false
		}
		for _, m := range all {
			if want := !failing[m.Name] && !held(m); (m.Version == "2.0.0") != want {
				t.Fatalf("round %d, %+v: %s is %s in %q; %v fail", round, all, m.Name, m.Phase, m.Version, failing)
			}
		}
	}
}

func requires(m wanted.Module, name string) bool {
	return slices.ContainsFunc(m.Requires, func(d v1alpha1.ModuleDependency) bool { return d.Module == name })
}

func TestBroken(t *testing.T) {
	all := modules("runner 1.4.2 Installed: cert-manager >=1.14 <1.20", "mesh 2.0.0 Installed: cert-manager", "idle - Planned: cert-manager", "gone 1.0.0 Uninstalling x: cert-manager",
		"ill 1.0.0 Installed: cert-manager <1.10", "cert-manager 1.18.2 Installed", "other 1.0.0 Installed: flagger")
	cases := map[string]struct {
		reason, version string
		want            []string
	}{
		"Within":    {"still in every range", "1.19.0", nil},
		"Beyond":    {"out of one; who was broken before doesn't count", "1.20.0", []string{"module runner requires cert-manager in version >=1.14 <1.20, and not 1.20.0"}},
		"Uninstall": {"gone", "", []string{"module mesh requires cert-manager: uninstall it first", "module runner requires cert-manager (>=1.14 <1.20)"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := wanted.Broken("cert-manager", tc.version, all)
			if len(got) != len(tc.want) {
				t.Fatalf("%s: got %q", tc.reason, got)
			}
			for i, part := range tc.want {
				if !strings.HasPrefix(got[i], part) {
					t.Errorf("%s: got %q, want %q", tc.reason, got[i], part)
				}
			}
		})
	}
}

// TestPackageRequires: what packages require counts as what people say does, by the names of packages or modules.
func TestPackageRequires(t *testing.T) {
	all := packaged(modules("runner 1.4.2 Installed: certs >=1.14 <1.20", "mesh 2.0.0 Soaking: flagger", "cm 1.18.2 Installed", "cm2 1.18.2 Installed", "flagger 1.0.0 Installed"),
		"runner=gitlab-runner", "mesh=mesh", "cm2=certs", "cm=certs", "flagger=ours")
	if got := wanted.Broken("cm", "1.20.0", all); len(got) != 1 || !strings.HasPrefix(got[0], "module runner requires cm in version >=1.14 <1.20") {
		t.Errorf("a version out of the range of another's package gives %q", got)
	}
	if got := wanted.Broken("cm2", "1.20.0", all); len(got) != 0 {
		t.Errorf("of two with that package the first by name is required, but the second gives %q", got)
	}
	if got := wanted.Waits("flagger", all); len(got) != 1 || !strings.HasPrefix(got[0], "module mesh, which requires this one, is Soaking") {
		t.Errorf("what a package requires that is being proved waits for %q", got)
	}
	if diff := cmp.Diff([]string{"cm", "cm2", "flagger", "mesh", "runner"}, wanted.Order(all).Names); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		reason   string
		own      string
		requires []string
	}{
		"Package": {"the package's word, by the module's name", "", []string{"cm >=1.14 <1.20"}},
		"Same":    {"a person's word replaces it, also by the module's name", "cm >=1", []string{"cm >=1"}},
		"NoRange": {"a person who says no version leaves the package's", "cm", []string{"cm ", "cm >=1.14 <1.20"}},
		"Besides": {"a person adds to it", "flagger ~1", []string{"flagger ~1", "cm >=1.14 <1.20"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := slices.Clone(all)
			all[0].Requires = modules("runner 1.4.2 Installed: " + tc.own)[0].Requires
			var got []string
			for _, r := range wanted.Resolved(all)[0].Requires {
				got = append(got, r.Module+" "+r.Version)
			}
			if diff := cmp.Diff(tc.requires, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestStrangersClaims: anybody may call a package, or a Module, what others require. It holds up none of them.
func TestStrangersClaims(t *testing.T) {
	const runner = "runner 1.4.2 Planned: certs >=1.14 <1.20"
	for name, tc := range map[string]struct {
		reason string
		all    []wanted.Module
		claims []string // besides runner's and the real one's
		want   string   // of which module it is required
	}{
		"Planned":    {"what isn't installed doesn't come before what is", modules(runner, "real 1.18.2 Installed", "aaa - Planned"), []string{"aaa=certs"}, "real"},
		"Other":      {"nor what is installed in another version", modules(runner, "real 1.18.2 Installed", "aaa 9.0.0 Installed"), []string{"aaa=certs"}, "real"},
		"Named":      {"nor by the name of the Module", modules(runner, "real 1.18.2 Installed", "certs - Blocked"), nil, "real"},
		"Going":      {"nor what is being deleted", modules(runner, "real 1.18.2 Installed", "aaa 1.18.2 Uninstalling x"), []string{"aaa=certs"}, "real"},
		"Sick":       {"nor what isn't healthy", modules(runner, "real 1.18.2 Installed", "aaa 1.18.2 Installed!"), []string{"aaa=certs"}, "real"},
		"Moving":     {"nor what is always being changed", modules(runner, "real 1.18.2 Installed", "aaa 1.18.2 Soaking"), []string{"aaa=certs"}, "real"},
		"Replanning": {"or planned", modules(runner, "real 1.18.2 Installed", "aaa 1.18.2 Planning"), []string{"aaa=certs"}, "real"},
		"Said":       {"a person's word says which", modules(runner, "real 1.18.2 Installed", "other 1.18.2 Installed!"), []string{"other=certs"}, "other"},
		"Itself":     {"what it calls itself says nothing", modules(runner, "real 1.18.2 Installed!"), nil, "real"},
		"MayYet":     {"one that may meet it yet comes before one that doesn't", modules(runner, "real - Planned", "aaa 9.0.0 Installed"), []string{"aaa=certs"}, "real"},
	} {
		t.Run(name, func(t *testing.T) {
			all := packaged(tc.all, append([]string{"real=certs"}, tc.claims...)...)
			all[0].PackageRequires, all[0].Requires = all[0].Requires, nil
			if name == "Itself" {
				all[0].Package = "certs"
			}
			if name == "Said" {
				all[0].Requires = []v1alpha1.ModuleDependency{{Module: "other"}}
			}
			requires := wanted.Resolved(all)[0].Requires
			if got := requires[len(requires)-1].Module; got != tc.want {
				t.Errorf("%s: it requires %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
	first := modules("certs 1.18.2 Planned", "aaa - Soaking: certs")
	if got := wanted.Waits("certs", first); len(got) != 0 {
		t.Errorf("what was never installed holds up what it requires: %q", got)
	}
}

// TestOf: what counts of a Module is what may be in the cluster; only before there is anything, what is planned.
func TestOf(t *testing.T) {
	of := func(version, requires string) v1alpha1.RevisionReference {
		return v1alpha1.RevisionReference{Version: version, Package: "runner", Requires: []v1alpha1.ModuleDependency{{Module: "certs", Version: requires}}}
	}
	one, two, three := of("1.0.0", ">=1"), of("2.0.0", ">=2"), of("3.0.0", ">=3")
	for name, tc := range map[string]struct {
		reason  string
		status  v1alpha1.ModuleStatus
		version string
		want    []string
	}{
		"Nothing":   {reason: "nobody has looked yet"},
		"Planned":   {"what a first plan says", v1alpha1.ModuleStatus{Target: &three}, "", []string{">=3"}},
		"Installed": {"what is only planned doesn't count", v1alpha1.ModuleStatus{Current: &one, Target: &three}, "1.0.0", []string{">=1"}},
		"Underway":  {"both may be there", v1alpha1.ModuleStatus{Current: &one, Attempt: &v1alpha1.Attempt{Target: two}, Target: &three}, "1.0.0", []string{">=1", ">=2"}},
		"Again":     {"each once", v1alpha1.ModuleStatus{Current: &one, Attempt: &v1alpha1.Attempt{Target: one}}, "1.0.0", []string{">=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := wanted.Of(&v1alpha1.Module{Status: tc.status})
			var got []string
			for _, r := range m.PackageRequires {
				got = append(got, r.Version)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || m.Version != tc.version {
				t.Errorf("%s: version %q, -want +got:\n%s", tc.reason, m.Version, diff)
			}
		})
	}
}
