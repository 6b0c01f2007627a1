package plan

import (
	"context"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/health"
)

// baseline notes which objects of the module aren't healthy before anything is done. That says nothing about the new version, and must
// not be blamed on it.
func baseline(_ context.Context, d *draft) error {
	if d.current == nil {
		return nil
	}
	for _, list := range [][]apply.PlannedChange{d.next, d.gone} {
		for _, c := range list {
			if c.Live == nil || !d.known[c.Ref.Unversioned()] {
				continue
			}
			if v := d.Assess(c.Live); v.State != health.Healthy {
				d.plan.Baseline = append(d.plan.Baseline, Health{Object: c.Ref.Subject(), State: string(v.State), Reason: v.Reason, Message: v.Message})
			}
		}
	}
	return nil
}
