package builtin

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

const (
	// glance is the pause between two looks at what runs in the agent. A look is a look into its memory, and costs no request.
	glance = time.Minute
	// glanceAgain is the pause while something is in the way.
	glanceAgain = 5 * time.Second
)

// inAgent says how a part is that runs in this process.
func (t *task) inAgent(ctx context.Context, capability Capability) (time.Duration, error) {
	name := t.m.Spec.Source.Builtin.Name
	is, err := capability(ctx)
	if err != nil {
		return 0, err
	}
	t.m.Status.Current = &v1alpha1.RevisionReference{Version: t.Version, Digest: revision.DigestOf([]byte("builtin\x00" + name + "\x00" + t.Version))}
	t.m.Status.Target, t.m.Status.Plan, t.m.Status.Attempt = nil, nil, nil
	w := words{reason: string(v1alpha1.PhaseInstalled), ready: true, message: t.Version + " runs in the agent, in its version"}
	next := glance
	switch {
	case is.By != "":
		w.message = fmt.Sprintf("%s is part of the agent, and %s serves it in the agent's place: the agent takes it back when nobody else does", t.Version, is.By)
	case is.Problem != "":
		w = words{reason: attempt.ReasonUnhealthy, reconciling: true, message: t.Version + " is part of the agent, and isn't served: " + is.Problem}
		next = glanceAgain
	}
	if t.m.Spec.Paused {
		w.message += "; the pause holds up nothing: there is no upgrade of its own, and what it does is suspended on its own objects"
	}
	return next, t.settle(ctx, v1alpha1.PhaseInstalled, w)
}
