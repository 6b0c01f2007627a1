package build

import (
	"bytes"
	"regexp"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

var aliasMark = regexp.MustCompile(`(?m)(^|[\s\[{,:-])\*[^\s*]`)

// checkShape refuses a text whose YAML would cost Kustomize far more than its length
// says: aliases that expand to more than the limit or in a circle (Kustomize expands
// them without counting; a few lines can stand for billions of nodes), and nesting
// that is too deep (its work grows with the square of the depth). Texts that are not
// YAML pass: Kustomize stops at them. Nearly all texts need no parsing to pass.
func (v *view) checkShape(file string, content []byte) error {
	hasAliases := bytes.Contains(content, []byte("&")) && aliasMark.Match(content)
	if !hasAliases && !mayBeDeep(content, v.limits.YAMLDepth) {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	s := shapes{limit: v.limits.YAMLNodes, of: map[*yaml.Node]shape{}}
	total := 0
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			return nil //nolint:nilerr // the end, or not YAML
		}
		got := s.measure(&doc)
		if total += got.size; total > v.limits.YAMLNodes || s.circle {
			return tooLarge(file, "its YAML aliases expand to more than %d nodes; write the values out instead", v.limits.YAMLNodes)
		}
		if got.depth > v.limits.YAMLDepth {
			return tooLarge(file, "its YAML is nested deeper than %d levels; no Kubernetes object needs that", v.limits.YAMLDepth)
		}
	}
}

// mayBeDeep says whether a text could be YAML of more than depth levels: every level
// takes a bracket, a column of indentation, or a dash or question mark before it.
func mayBeDeep(content []byte, depth int) bool {
	brackets, column, inIndent := 0, 0, true
	for _, c := range content {
		switch c {
		case '\n':
			column, inIndent = 0, true
			continue
		case '[', '{':
			brackets++
		case ']', '}':
			brackets = max(0, brackets-1)
		}
		if inIndent {
			inIndent = c == ' ' || c == '-' || c == '?'
			column++
		}
		if brackets+column > depth {
			return true
		}
	}
	return false
}

// shape is the size and depth of a node with its aliases expanded.
type shape struct {
	size, depth int
	underWay    bool
}

// shapes measures nodes, each anchor's only once.
type shapes struct {
	limit  int
	of     map[*yaml.Node]shape
	circle bool
}

func (s *shapes) measure(n *yaml.Node) shape {
	if n == nil || s.circle {
		return shape{}
	}
	if n.Kind == yaml.AliasNode {
		return s.measure(n.Alias)
	}
	if known, ok := s.of[n]; ok {
		s.circle = s.circle || known.underWay
		return known
	}
	if n.Anchor != "" {
		s.of[n] = shape{underWay: true}
	}
	total := shape{size: 1}
	for _, child := range n.Content {
		got := s.measure(child)
		total.size = min(total.size+got.size, s.limit+1) // enough to know; sums must not overflow
		total.depth = max(total.depth, got.depth)
	}
	total.depth++
	if n.Anchor != "" {
		s.of[n] = total
	}
	return total
}

// countObjects says how many objects a file of manifests holds: its documents, and the
// items of its lists.
func countObjects(content []byte) int {
	if bytes.Count(content, []byte("kind")) <= 1 {
		return 1
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	count := 0
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			return count
		}
		items := 1
		if len(doc.Content) > 0 {
			if list := field(doc.Content[0], "items"); list != nil {
				items = max(1, len(list.Content))
			}
		}
		count += items
	}
}
