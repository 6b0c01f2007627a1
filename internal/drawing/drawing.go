// Package drawing puts what is drawn from code into pages for people: tables in Markdown and diagrams for Mermaid. It knows no other
// package of ours, and does no I/O.
package drawing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrNoPlace is a page in which a drawing has no place, or one that doesn't end.
var ErrNoPlace = errors.New("no place for a drawing")

// Embed returns the page with all drawings of a subject as they are now, by their names. In the page each is between two lines,
// "<!-- SUBJECT: NAME -->" and "<!-- SUBJECT end -->". A page that lacks one is an [ErrNoPlace].
func Embed(page, subject string, drawings map[string]func() string) (string, error) {
	end := "<!-- " + subject + " end -->"
	for _, name := range slices.Sorted(maps.Keys(drawings)) {
		begin := "<!-- " + subject + ": " + name + " -->\n"
		before, rest, found := strings.Cut(page, begin)
		if !found {
			return "", fmt.Errorf("%w: add the lines %q and %q", ErrNoPlace, strings.TrimSpace(begin), end)
		}
		_, after, found := strings.Cut(rest, end)
		if !found {
			return "", fmt.Errorf("%w: %q isn't followed by %q", ErrNoPlace, strings.TrimSpace(begin), end)
		}
		page = before + begin + drawings[name]() + end + after
	}
	return page, nil
}

// Edges collects the arrows of a diagram, in the order in which they were first drawn. The zero value has none.
type Edges struct {
	order  []edge
	labels map[edge][]string
}

type edge struct{ from, to string }

// Draw adds a word to the arrow from one state to another; it is drawn once, whatever happens along it. What it has already isn't added.
func (e *Edges) Draw(from, to, word string) {
	if e.labels == nil {
		e.labels = map[edge][]string{}
	}
	at := edge{from, to}
	if e.labels[at] == nil {
		e.order = append(e.order, at)
	}
	if !slices.Contains(e.labels[at], word) {
		e.labels[at] = append(e.labels[at], word)
	}
}

// Has tells whether there is an arrow from one state to another.
func (e *Edges) Has(from, to string) bool { return e.labels[edge{from, to}] != nil }

// All calls see with each arrow and its line for Mermaid, such as "A --> B: this<br/>that".
func (e *Edges) All(see func(from, to, line string)) {
	for _, at := range e.order {
		see(at.from, at.to, fmt.Sprintf("%s --> %s: %s", at.from, at.to, strings.Join(e.labels[at], "<br/>")))
	}
}

// Code lists words as code.
func Code[T ~string](words []T) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "`" + string(w) + "`"
	}
	return strings.Join(quoted, ", ")
}
