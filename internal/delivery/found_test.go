package delivery

import (
	"testing"

	"github.com/slipway-dev/slipway/internal/apply"
)

func TestWhatASweepFound(t *testing.T) {
	changes := []apply.Change{{Action: apply.Unchanged}, {Action: apply.Skipped}, {Action: apply.Configured}, {Action: apply.Created}}
	if n := found(changes); n != 2 {
		t.Errorf("got %d, want the two that had to be changed", n)
	}
}
