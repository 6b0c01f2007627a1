package delivery

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/slipway/internal/apply"
)

// maxPartial bounds the message of a set that was applied in part, in bytes.
const maxPartial = 16 << 10

// partial is a set of which some objects could not be applied although the others were.
type partial struct {
	err   error
	total int
}

// Error names every object that failed, with its reason.
func (p *partial) Error() string {
	failed := apply.Errors(p.err)
	lines := make([]string, 0, len(failed)+1)
	lines = append(lines, fmt.Sprintf("%d of %d objects could not be applied, the others were; nothing is pruned until all can be", len(failed), p.total))
	for _, e := range failed {
		lines = append(lines, e.Error())
	}
	return shorten(strings.Join(lines, "\n"), maxPartial)
}

// Unwrap returns the errors of the objects.
func (p *partial) Unwrap() error { return p.err }
