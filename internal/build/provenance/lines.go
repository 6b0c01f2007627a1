package provenance

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxPadding bounds the empty lines that are put before documents, in bytes. What is beyond it is left to the experiments.
const maxPadding = 64 << 20

// separator is what Kustomize splits a file at.
var separator = regexp.MustCompile(`\n---.*\n`)

// span is a document that begins at a line of its own in the padded tree.
type span struct {
	first, last int // lines in the padded tree
	place       Place
	shift       int // what to take from a padded line to get the file's
}

// markers know which line of which file a line of the padded tree is.
type markers []span

// place finds a padded line. It doesn't know lines of documents that weren't padded: those are below the first span.
func (m markers) place(line int) (Place, bool) {
	for _, s := range m {
		if line >= s.first && line <= s.last {
			found := s.place
			found.Line = line - s.shift
			return found, true
		}
	}
	return Place{}, false
}

// pad gives a tree in which every document that may have to do with an object of this kind begins at a line of its own.
func pad(tree overlay, files []file, kind string) (overlay, markers) {
	var (
		marks   markers
		next    = 1
		padding = 0
	)
	for _, f := range files { // lines below this are those of documents that aren't padded
		next = max(next, bytes.Count(f.content, []byte("\n"))+2)
	}
	for _, f := range files {
		relevant := f.setting == SettingPatch || f.setting == SettingManifest && mentions(f.content, kind)
		if !relevant || bytes.HasPrefix(f.content, []byte("%")) {
			continue
		}
		text := strings.ReplaceAll(string(f.content), "\r\n", "\n")
		if strings.HasPrefix(text, "---") { // Kustomize takes no separator in the first line for one; after empty lines it would
			first, rest, _ := strings.Cut(text, "\n")
			if content := strings.TrimSpace(strings.TrimPrefix(first, "---")); content != "" && !strings.HasPrefix(content, "#") {
				continue
			}
			text = "\n" + rest
		}
		var padded strings.Builder
		begin, line := 0, 1
		for _, at := range append(separator.FindAllStringIndex(text, -1), []int{len(text), len(text)}) {
			doc := text[begin:at[0]]
			lines := strings.Count(doc, "\n") + 1
			if padding += next; padding > maxPadding {
				return tree, marks
			}
			padded.WriteString(strings.Repeat("\n", next))
			padded.WriteString(doc)
			padded.WriteString(text[at[0]:at[1]])
			marks = append(marks, span{
				first: next + 1, last: next + lines, shift: next + 1 - line, place: Place{Setting: f.setting, File: f.name},
			})
			next += lines + 1
			line += strings.Count(text[begin:at[1]], "\n")
			begin = at[1]
		}
		tree = tree.with(f.name, []byte(padded.String()))
	}
	return tree, marks
}

// inventory has the values that are written in each line of each file.
type inventory map[string][]string

func inventoryOf(files []file) inventory {
	all := inventory{}
	for _, f := range files {
		if f.setting != SettingManifest && f.setting != SettingPatch {
			continue
		}
		for _, s := range scalarsOf(f.content, Place{File: f.name}) {
			at := spot(f.name, s.place.Line)
			all[at] = append(all[at], s.text)
		}
	}
	return all
}

func spot(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// has reports whether the file has the node's value in that line. Of a value that isn't text there is nothing to compare.
func (i inventory) has(at Place, node *yaml.Node) bool {
	return node.Kind != yaml.ScalarNode || slices.Contains(i[spot(at.File, at.Line)], node.Value)
}

// mentions reports whether a text may hold an object of the kind, alone or in a list.
func mentions(content []byte, kind string) bool {
	return bytes.Contains(content, []byte(kind)) || bytes.Contains(content, []byte("List"))
}

// nodeAt finds the node of a field.
func nodeAt(n *yaml.Node, path Path) *yaml.Node {
	for _, step := range path {
		if n == nil {
			return nil
		}
		if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
			n = n.Content[0]
		}
		switch step := step.(type) {
		case string:
			n = valueOf(n, step)
		case int:
			if n.Kind != yaml.SequenceNode || step >= len(n.Content) {
				return nil
			}
			n = n.Content[step]
		}
	}
	return n
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// lineOf finds the line of a field in a document, or of the closest field above it that is there.
func lineOf(n *yaml.Node, path Path) int {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	line := n.Line
	for i := range path {
		if at := nodeAt(n, path[:i+1]); at != nil {
			line = at.Line
		}
	}
	return line
}
