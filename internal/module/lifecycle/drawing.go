package lifecycle

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/slipway/internal/drawing"
)

// The drawings, by the names that a page has for the places where they belong.
func drawings() map[string]func() string {
	return map[string]func() string{"diagram": diagram, "states": statesTable, "transitions": transitionsTable, "ignored": ignoredTable}
}

// Embed returns the page with all drawings as they are now, each between the lines "<!-- lifecycle: NAME -->" and
// "<!-- lifecycle end -->". A page that lacks one is a [drawing.ErrNoPlace].
func Embed(page string) (string, error) {
	return drawing.Embed(page, "lifecycle", drawings())
}

// diagram draws the table for Mermaid. What stays in a state isn't drawn, and what happens to a deleted Module once for all states.
func diagram() string {
	const alive = "Module"
	var edges drawing.Edges
	for _, r := range handled {
		switch {
		case r.to == "":
		case r.event != Deleted:
			for _, from := range r.from {
				edges.Draw(drawn(from), drawn(r.to), label(r))
			}
		case !edges.Has(alive, drawn(r.to)):
			edges.Draw(alive, drawn(r.to), label(r))
		}
	}
	var inside, outside strings.Builder
	edges.All(func(from, _, line string) {
		if from == alive || from == string(Uninstalling) {
			outside.WriteString("  " + line + "\n")
		} else {
			inside.WriteString("    " + line + "\n")
		}
	})
	return "```mermaid\nstateDiagram-v2\n  [*] --> Module\n  state Module {\n    [*] --> " + string(Pending) + "\n" +
		inside.String() + "  }\n" + outside.String() + "```\n"
}

// drawn is Mermaid's name of a state.
func drawn(s State) string {
	if s == Gone {
		return "[*]"
	}
	return string(s)
}

func label(r rule) string {
	if r.guard.name == "" {
		return string(r.event)
	}
	return fmt.Sprintf("%s [%s]", r.event, r.guard.name)
}

func statesTable() string {
	var b strings.Builder
	b.WriteString("| state | means | in the cluster | work |\n| --- | --- | --- | --- |\n")
	for _, p := range placed {
		work := "none: it rests"
		if !p.resting {
			work = drawing.Code(p.work)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.state, p.means, p.cluster, work)
	}
	return b.String()
}

func transitionsTable() string {
	var b strings.Builder
	b.WriteString("| from | event | if | to | does, on the way | because |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range handled {
		to := "stays"
		if r.to != "" {
			to = "`" + string(r.to) + "`"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", drawing.Code(r.from), r.event, r.guard.name, to, drawing.Code(r.actions), r.why)
	}
	return b.String()
}

func ignoredTable() string {
	var b strings.Builder
	b.WriteString("| in | event | because |\n| --- | --- | --- |\n")
	for _, i := range skipped {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", drawing.Code(i.in), drawing.Code(i.events), i.why)
	}
	return b.String()
}
