package build

import (
	"bytes"
	"regexp"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

var aliasMark = regexp.MustCompile(`(?m)(^|[\s\[{,:-])\*[^\s*]`)

// checkAliases refuses a text whose YAML aliases expand to more than the limit, or in
// a circle. Kustomize expands aliases without underWay; a few lines can be made to
// stand for billions of nodes. Texts that are not YAML pass: they have no aliases.
func (v *view) checkAliases(file string, content []byte) error {
	if !bytes.Contains(content, []byte("&")) || !aliasMark.Match(content) {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	c := aliasCount{limit: v.limits.YAMLNodes, size: map[*yaml.Node]int{}}
	total := 0
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			return nil
		}
		if total += c.count(&doc); total > c.limit || c.circle {
			return tooLarge(file, "its YAML aliases expand to more than %d nodes; write the values out instead", c.limit)
		}
	}
}

// aliasCount counts nodes with aliases expanded, each anchor's subtree once.
type aliasCount struct {
	limit  int
	size   map[*yaml.Node]int
	circle bool
}

const underWay = -1

func (c *aliasCount) count(n *yaml.Node) int {
	if n == nil || c.circle {
		return 0
	}
	if n.Kind == yaml.AliasNode {
		return c.count(n.Alias)
	}
	if size, known := c.size[n]; known {
		c.circle = c.circle || size == underWay
		return size
	}
	if n.Anchor != "" {
		c.size[n] = underWay
	}
	total := 1
	for _, child := range n.Content {
		if total += c.count(child); total > c.limit {
			total = c.limit + 1 // enough to know; sums must not overflow
		}
	}
	if n.Anchor != "" {
		c.size[n] = total
	}
	return total
}
