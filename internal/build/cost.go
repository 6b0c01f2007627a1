package build

import (
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/envsubst/parse"
)

// substitutionSteps bounds the work of all expressions in one object, in bytes looked
// at: about a second. Trimming by a pattern takes the square of a value's length, and
// replacing may multiply one value by another.
const substitutionSteps = 1 << 28

// checkCost estimates what expanding text would take. Text that cannot be parsed passes.
func (s *substitution) checkCost(text string) error {
	tree, err := parse.Parse(text)
	if err != nil {
		return nil //nolint:nilerr // eval reports it
	}
	c := expansion{vars: s.vars}
	size := c.size(tree.Root)
	if c.steps > substitutionSteps {
		return errors.New("its ${…} expressions are too expensive for values of this length; use shorter values, or plain ${var}")
	}
	if size > s.limits.RenderedBytes {
		return fmt.Errorf("would have more than %d bytes after substitution; use shorter values", s.limits.RenderedBytes)
	}
	return nil
}

// expansion adds up an upper bound of what a template's nodes expand to.
type expansion struct {
	vars  map[string]string
	steps int64
}

// enough stands for any number beyond all limits, far from overflow.
const enough = int64(1) << 40

func (c *expansion) size(n parse.Node) int64 {
	switch n := n.(type) {
	case *parse.TextNode:
		return int64(len(n.Value))
	case *parse.ListNode:
		return c.sizes(n.Nodes)
	case *parse.FuncNode:
		args, value := c.sizes(n.Args), int64(len(c.vars[n.Param]))
		switch n.Name {
		case "#", "##", "%", "%%":
			c.step((value + 1) * (value + args + 1))
			return value
		case "/", "//", "/#", "/%":
			size := min((value+1)*(args+1), enough)
			c.step(size)
			return size
		default:
			c.step(value + args)
			return value + args
		}
	}
	return 0
}

func (c *expansion) sizes(nodes []parse.Node) int64 {
	var total int64
	for _, n := range nodes {
		total = min(total+c.size(n), enough)
	}
	return total
}

func (c *expansion) step(n int64) { c.steps = min(c.steps+min(n, enough), enough) }
