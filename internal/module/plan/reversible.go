package plan

import (
	"context"
	"slices"

	"github.com/slipway-dev/slipway/internal/apply"
)

// reversible decides whether the attempt can be taken back until it is committed.
func reversible(_ context.Context, d *draft) error {
	declared, why := d.declared()
	d.plan.Declared = declared
	if d.current != nil && !declared && why != "" {
		d.irreversible("%s", why)
	}
	for _, c := range d.next {
		if c.Action == apply.Recreated {
			d.irreversible("%s would be deleted and made again, and what it held is lost", c.Ref.Subject())
		}
	}
	slices.Sort(d.plan.Irreversible)
	d.plan.Irreversible = slices.Compact(d.plan.Irreversible)
	d.plan.Reversible = len(d.plan.Irreversible) == 0
	return nil
}
