package delivery

import (
	"time"
)

// blocked is why a Kustomization cannot go on now. It ends in its Ready condition.
type blocked struct {
	reason, message string
	// stalled: only a change by a person helps, so nothing is tried again by itself.
	stalled bool
	// quiet: what is missing is on its way and will wake the object; the status keeps what it says.
	quiet bool
	// expected: this is how things are in the beginning; the status says so after a while, and no event does.
	expected bool
	// again is when to look again where no watch tells; zero: a watch does.
	again time.Duration
}

func stalledBy(reason, message string) *blocked {
	return &blocked{reason: reason, message: message, stalled: true}
}
