package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/plan"
)

// printPlan tells people what an attempt would do, the problems last: there the eye stays.
func (a *App) printPlan(p *plan.Plan) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.Out, "%-11s %s\n", name+":", value)
		}
	}
	line("Module", a.out.bold(p.Module))
	line("Version", p.Version)
	if p.Package.URL != "" {
		line("Package", fmt.Sprintf("%s, %s (%s)", p.Package.Name, p.Package.URL, p.Package.Digest))
	}
	line("Signed by", p.Package.SignedBy)
	line("Namespace", p.Namespace)
	line("Digest", string(p.Digest))
	if p.Same {
		a.donef("nothing would change: this is what is installed")
		if !p.Good() {
			a.printStanding(p)
		}
		return
	}
	line("Objects", countsInWords(p))
	a.printReversible(p)
	for _, r := range p.Requires {
		line("Requires", strings.TrimSpace(r.Module+" "+r.Version))
	}
	a.printPlanned(p)
	a.printList("Permissions that it hasn't yet", p.AddedPermissions)
	a.printDefinitions(p)
	var sick []string
	for _, h := range p.Baseline {
		sick = append(sick, fmt.Sprintf("%s is %s: %s", h.Object, h.State, h.Message))
	}
	a.printList("Not healthy already now", sick)
	a.printList("Nobody could see", p.Unseen)
	fmt.Fprintln(a.Out)
	if p.Good() {
		a.donef("no problems: an attempt could begin")
		return
	}
	a.printStanding(p)
}

// printStanding tells what stands in the way.
func (a *App) printStanding(p *plan.Plan) {
	fmt.Fprintf(a.Out, "%s\n", a.out.bad(fmt.Sprintf("%d problems; nothing is written until all of them are solved:", len(p.Problems))))
	for _, one := range p.Problems {
		where := one.Check
		if one.Object != "" {
			where += " " + one.Object
		}
		fmt.Fprintf(a.Out, "  %s: %s\n", a.out.bold(where), one.Message)
	}
}

func countsInWords(p *plan.Plan) string {
	return fmt.Sprintf("%d created, %d changed, %d deleted at the commit, %d unchanged", p.Counts.Create, p.Counts.Update, p.Counts.Delete, p.Counts.Unchanged)
}

func (a *App) printReversible(p *plan.Plan) {
	if p.Digest == "" {
		return
	}
	if p.Reversible {
		fmt.Fprintf(a.Out, "%-11s %s\n", "Way back:", a.out.good("until the commit"))
		return
	}
	for i, why := range p.Irreversible {
		name := ""
		if i == 0 {
			name = "No way back:"
		}
		fmt.Fprintf(a.Out, "%-12s %s\n", name, why)
	}
}

// printPlanned lists the objects that would be written or deleted, with the fields that differ.
func (a *App) printPlanned(p *plan.Plan) {
	first := true
	for _, c := range p.Changes {
		if c.Action == plan.Unchanged {
			continue
		}
		if first {
			fmt.Fprintln(a.Out)
			first = false
		}
		note := ""
		if c.Note != "" {
			note = "  " + a.out.dim(c.Note)
		}
		fmt.Fprintf(a.Out, "  %-7s %s%s\n", c.Action, c.Object, note)
		for _, f := range c.Fields {
			switch {
			case f.From == "" && f.To == "":
				fmt.Fprintf(a.Out, "          %s\n", f.Path)
			default:
				fmt.Fprintf(a.Out, "          %s: %s → %s\n", f.Path, orDash(f.From), orDash(f.To))
			}
		}
	}
}

func (a *App) printList(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(a.Out, "\n%s:\n", title)
	for _, l := range lines {
		fmt.Fprintln(a.Out, "  "+l)
	}
}

// printDefinitions tells what changes of definitions do. Those that forbid to begin are among the problems.
func (a *App) printDefinitions(p *plan.Plan) {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(p.Definitions)) {
		for _, f := range p.Definitions[name] {
			if f.Severity != crd.Unsafe {
				lines = append(lines, name+": "+f.String())
			}
		}
	}
	a.printList("Definitions of kinds", lines)
}
