package e2e_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/slipway/e2e"
)

// TestFluxPageNamesEveryCommand: docs/flux-cli.md says of each command of the flux CLI what it does here, and of none that isn't there.
func TestFluxPageNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "flux-cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := commandsNamed(string(text))
	used := map[string]bool{}
	for _, command := range e2e.FluxCommands(t) {
		at := slices.IndexFunc(named, func(pattern string) bool { return matches(pattern, command) })
		if at < 0 {
			t.Errorf("flux %s: the page has nothing about it", command)
			continue
		}
		used[named[at]] = true
	}
	for _, pattern := range named {
		if !used[pattern] {
			t.Errorf("%s: the flux CLI has no such command, or another row has it already", pattern)
		}
	}
}

var inCode = regexp.MustCompile("`([^`]+)`")

// commandsNamed reads the tables of a page: commands in the first column of those that have "command" there, and verbs by kinds.
// Three dots stand for any words.
func commandsNamed(text string) []string {
	var header, found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			header = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if header == nil {
			header = cells
			continue
		}
		words := inCode.FindAllStringSubmatch(cells[0], -1)
		switch {
		case header[0] == "verb" && len(words) == 1:
			for i, kind := range header[1 : len(header)-1] {
				if cells[i+1] == "yes" {
					found = append(found, byKind(words[0][1], strings.Trim(kind, "`")))
				}
			}
		case header[0] == "command" && !slices.Contains(header, "instead"): // that table is about flags
			for _, w := range words {
				found = append(found, w[1])
			}
		}
	}
	return found
}

// byKind is a command of a verb on a kind: "get" has the plural.
func byKind(verb, kind string) string {
	if verb != "get" {
		return verb + " " + kind
	}
	if of, ok := strings.CutPrefix(kind, "source "); ok {
		return "get sources " + of
	}
	return "get " + kind + "s"
}

// matches compares word by word; a pattern's three dots stand for any words, as a shell's star does.
func matches(pattern, command string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "…", "*"), command)
	return err == nil && ok
}
