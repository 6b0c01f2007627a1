package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The drawings, by the names that a page has for the places where they belong.
func drawings() map[string]func() string {
	return map[string]func() string{"diagram": diagram, "states": statesTable, "transitions": transitionsTable, "ignored": ignoredTable}
}

// ErrNoPlace is a page in which a drawing has no place, or one that doesn't end.
var ErrNoPlace = errors.New("no place for a drawing")

// Embed returns the page with all drawings as they are now. In the page each is between two lines, "<!-- lifecycle: NAME -->" and
// "<!-- lifecycle end -->". A page that lacks one is an [ErrNoPlace].
func Embed(page string) (string, error) {
	const end = "<!-- lifecycle end -->"
	all := drawings()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		begin := "<!-- lifecycle: " + name + " -->\n"
		before, rest, found := strings.Cut(page, begin)
		if !found {
			return "", fmt.Errorf("%w: add the lines %q and %q", ErrNoPlace, strings.TrimSpace(begin), end)
		}
		_, after, found := strings.Cut(rest, end)
		if !found {
			return "", fmt.Errorf("%w: %q isn't followed by %q", ErrNoPlace, strings.TrimSpace(begin), end)
		}
		page = before + begin + all[name]() + end + after
	}
	return page, nil
}

// diagram draws the table for Mermaid. What stays in a state isn't drawn, and what happens to a deleted Module once for all states.
func diagram() string {
	type edge struct{ from, to string }
	var (
		order  []edge
		labels = map[edge][]string{}
	)
	draw := func(from, to State, word string) {
		e := edge{drawn(from), drawn(to)}
		if labels[e] == nil {
			order = append(order, e)
		}
		labels[e] = append(labels[e], word)
	}
	const alive State = "Module"
	for _, r := range handled {
		switch {
		case r.to == "":
		case r.event != Deleted:
			for _, from := range r.from {
				draw(from, r.to, label(r))
			}
		case labels[edge{string(alive), drawn(r.to)}] == nil:
			draw(alive, r.to, label(r))
		}
	}
	var inside, outside strings.Builder
	for _, e := range order {
		b := &inside
		if e.from == string(alive) || e.from == string(Uninstalling) {
			b = &outside
		} else {
			b.WriteString("  ")
		}
		fmt.Fprintf(b, "  %s --> %s: %s\n", e.from, e.to, strings.Join(labels[e], "<br/>"))
	}
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
			work = code(p.work)
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
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s |\n", code(r.from), r.event, r.guard.name, to, code(r.actions), r.why)
	}
	return b.String()
}

func ignoredTable() string {
	var b strings.Builder
	b.WriteString("| in | event | because |\n| --- | --- | --- |\n")
	for _, i := range skipped {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", code(i.in), code(i.events), i.why)
	}
	return b.String()
}

// code lists words as code.
func code[T ~string](words []T) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "`" + string(w) + "`"
	}
	return strings.Join(quoted, ", ")
}
