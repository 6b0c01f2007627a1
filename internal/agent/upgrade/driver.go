package upgrade

import (
	"cmp"
	"context"
	"time"

	"github.com/go-logr/logr"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// Options of a driver.
type Options struct {
	// Client without a cache and without a fence. Required.
	Client client.Client
	// Leases of the agent's namespace, the same way. Required.
	Leases coordination.LeaseInterface
	// Namespace of the agent. Required.
	Namespace string
	// Name of the agent: of slot a's StatefulSet, of the container in it and of the Lease; slot b's StatefulSet is called Name-b. Required.
	Name Names
	// Slot of this process. Required.
	Slot v1alpha1.AgentSlot

	// Leading says whether this process holds the lease. None: the process has no part in the election, and acts for its slot at any time.
	Leading func() bool
	// Elects says whether the agent elects who leads at all. Without it there is no self-upgrade.
	Elects bool
	// Off: self-upgrade is switched off here.
	Off bool
	// Prove says what the new agent has shown since it took over. It is asked of the process that leads.
	Prove func(ctx context.Context, since time.Time) []v1alpha1.AgentCheck
	// Events is told what has happened. Default: nobody.
	Events Events

	// Limits of the phases whose time the AgentUpgrade doesn't say.
	Limits Limits
	// Now is the time. Default: time.Now.
	Now func() time.Time
	Log logr.Logger
}

// Names are those of the agent's objects.
type Names struct {
	// Agent is the name of slot a's StatefulSet, and of the Lease; slot b's is the same with "-b".
	Agent string
	// Container is the container that does the work.
	Container string
}

// Events is who writes events.
type Events interface {
	Event(obj client.Object, details map[string]string, warning bool, reason, message string)
}

// Limits are how long phases may take.
type Limits struct {
	// Start is until the new agent is ready. Default: 5m.
	Start time.Duration
	// HandOver is until it has the lease. Default: 2m.
	HandOver time.Duration
	// TakeBack is until the old one has it again; then that is told, and tried on. Default: 5m.
	TakeBack time.Duration
	// Poll is how often is looked while an attempt is under way. Default: 2s.
	Poll time.Duration
	// Silence is how long the other slot may be silent before a process without a part in the election takes the lease. Default: 1m.
	Silence time.Duration
}

// Driver plays one of the two agents in an attempt.
type Driver struct {
	opts    Options
	silence term.Silence
}

// New returns a driver.
func New(opts Options) *Driver {
	l := &opts.Limits
	l.Start, l.HandOver, l.TakeBack = cmp.Or(l.Start, 5*time.Minute), cmp.Or(l.HandOver, 2*time.Minute), cmp.Or(l.TakeBack, 5*time.Minute)
	l.Poll, l.Silence = cmp.Or(l.Poll, 2*time.Second), cmp.Or(l.Silence, time.Minute)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Driver{opts: opts, silence: term.Silence{After: l.Silence, Gap: max(10*l.Poll, 15*time.Second)}}
}

// agent is the part that a slot plays in an attempt.
func (d *Driver) agent(u *v1alpha1.AgentUpgrade) protocol.Agent {
	if d.opts.Slot == u.Spec.From.Slot {
		return protocol.Old
	}
	return protocol.New
}

// mayAct says whether this process is the one of its slot to act. While its slot holds the lease, that is who leads; while the other one
// does, or takes back, any of them: what they do twice is refused by the API server, or changes nothing.
func (d *Driver) mayAct(state protocol.State, holder term.Holder) bool {
	if d.opts.Leading == nil || d.opts.Leading() {
		return true
	}
	return state == protocol.TakingBack || holder.Slot != "" && holder.Slot != d.opts.Slot
}
