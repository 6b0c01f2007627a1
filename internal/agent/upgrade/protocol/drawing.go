package protocol

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/slipway-dev/slipway/internal/drawing"
)

// Embed returns the page with all drawings as they are now, each between the lines "<!-- protocol: NAME -->" and "<!-- protocol end -->".
// A page that lacks one is a [drawing.ErrNoPlace].
func Embed(page string) (string, error) {
	return drawing.Embed(page, "protocol", drawings())
}

// The drawings, by the names that a page has for the places where they belong.
func drawings() map[string]func() string {
	return map[string]func() string{"diagram": diagram, "states": statesTable, "transitions": transitionsTable, "ignored": ignoredTable}
}

// diagram draws the table for Mermaid. What stays in a state isn't drawn, and the end of the object neither.
func diagram() string {
	var edges drawing.Edges
	for _, r := range handled {
		if r.to == "" || r.to == Gone {
			continue
		}
		for _, from := range r.from {
			edges.Draw(string(from), string(r.to), label(r))
		}
	}
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n  [*] --> " + string(Pending) + "\n")
	edges.All(func(_, _, line string) { b.WriteString("  " + line + "\n") })
	for _, p := range placed {
		if p.state.Ended() {
			fmt.Fprintf(&b, "  %s --> [*]\n", p.state)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func label(r rule) string {
	word := string(r.event)
	if len(r.by) == 1 {
		word = string(r.by[0]) + " " + word
	}
	if r.guard.name != "" {
		word += " [" + r.guard.name + "]"
	}
	return word
}

func statesTable() string {
	var b strings.Builder
	b.WriteString("| phase | means | which agent works | the old agent does | the new one does |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range placed {
		old := cmp.Or(drawing.Code(p.old), "nothing")
		if p.recreate != nil {
			old += "; in mode `Recreate` " + drawing.Code(p.recreate)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", p.state, p.means, p.works, old, cmp.Or(drawing.Code(p.new), "nothing"))
	}
	return b.String()
}

func transitionsTable() string {
	var b strings.Builder
	b.WriteString("| from | event | found by | if | to | writes with it | because |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range handled {
		to := "stays"
		if r.to != "" {
			to = "`" + string(r.to) + "`"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s | %s |\n", drawing.Code(r.from), r.event, agents(r.by), r.guard.name, to, drawing.Code(r.actions), r.why)
	}
	return b.String()
}

func ignoredTable() string {
	var b strings.Builder
	b.WriteString("| in | event | found by | because |\n| --- | --- | --- | --- |\n")
	for _, i := range skipped {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", drawing.Code(i.in), drawing.Code(i.events), agents(i.by), i.why)
	}
	return b.String()
}

func agents(by []Agent) string {
	if len(by) == len(Agents()) {
		return "either"
	}
	return drawing.Code(by)
}
