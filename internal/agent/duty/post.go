package duty

import (
	"cmp"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// Options of a Post.
type Options struct {
	// Leases of the agent's namespace, through a client without a fence. Required.
	Leases coordination.LeaseInterface
	// Name of the Lease. Required.
	Name string
	// Identity of this process, which no other one has. Required.
	Identity string
	// Leading says whether this process is the agent that leads, and Holding whether it still holds the agent's Lease, be it that it
	// only finishes what it does. Required.
	Leading, Holding func() bool
	// Terms on which the agent serves: see TermsAnnotation. Default: none.
	Terms string
	// TakeBack is for how long nobody else may renew the Lease before the agent takes it back. Default: 30s.
	TakeBack time.Duration
	// Renew is how long the elector of a shift tries to renew before it gives up. Required.
	Renew time.Duration
	Log   logr.Logger
}

const (
	// maxPause bounds the pause before a part is given again to servers that stopped without letting go.
	maxPause = 10 * time.Minute
	// steady is how long servers have to serve for their failures to be forgotten.
	steady = 10 * time.Minute
)

// Post is the agent's place as one who serves a part. Follow keeps it up to date; shifts do the serving.
type Post struct {
	opts Options

	mu       sync.Mutex
	watching bool                  // what happens to the Lease is known
	wanted   bool                  // the agent is to serve
	seen     *coordinationv1.Lease // as last seen; nil: there is none
	since    time.Time             // it has been as seen
	barred   time.Time             // a server lost the Lease by hand, and may go on for a moment: the agent doesn't take it before
	given    time.Time             // when servers were last given the part; zero: they weren't
	taken    bool                  // one of them has taken it since
	failures int
	heed     time.Time // who asks is not heard before
	shift    *Shift
}

// NewPost returns the place of a process.
func NewPost(opts Options) *Post {
	opts.TakeBack = cmp.Or(opts.TakeBack, 30*time.Second)
	opts.Identity = agentPrefix + opts.Identity
	return &Post{opts: opts}
}

// Serving tells whether the agent serves the part in this process, and who does if another one does; empty: nobody, or nobody knows.
func (p *Post) Serving() (here bool, elsewhere string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shift != nil && p.shift.holds {
		return true, ""
	}
	if holder := holderOf(p.seen); !ByAgent(holder) {
		return false, holder
	}
	return false, ""
}

// decide looks at what was seen of the Lease, and says when to look again though nothing changes; zero: never. It needs p.mu held.
func (p *Post) decide(now time.Time) (again time.Duration) {
	holder, asker := holderOf(p.seen), asked(p.seen)
	mine := p.seen != nil && holder == p.opts.Identity
	quiet := p.opts.TakeBack - now.Sub(p.since) // until it is silence
	switch {
	case !mine && !p.wanted && now.Before(p.barred):
		again = p.barred.Sub(now)
	case p.seen == nil: // servers leave it to the agent to make it
		p.wanted = true
	case mine && !p.wanted: // it is being let go of; what couldn't be is taken and given again
		p.wanted, again = quiet <= 0, max(quiet, 0)
	case mine && asker != "" && now.Before(p.heed):
		again = p.heed.Sub(now)
	case mine && asker != "":
		p.give(now)
	case mine:
	case ByAgent(holder): // of an agent that doesn't lead any more
		p.wanted = true
	case holder == "" && asker == "":
		p.wanted = true
	case quiet > 0 && holder != "":
		p.wanted, p.taken, again = false, true, quiet
	case quiet > 0 && !p.wanted:
		again = quiet
	case quiet <= 0 && !p.wanted:
		p.takeBack(now, holder)
	}
	if p.shift != nil && p.shift.holds && !mine { // taken by hand: whoever has it now may have begun
		p.shift.fence.Close()
	}
	if p.shift != nil && p.shift.holds && (!p.wanted || !mine) {
		p.shift.leave()
	}
	return again
}

// give has the shift end, so that who asked can take over. It needs p.mu held.
func (p *Post) give(now time.Time) {
	p.opts.Log.Info("Another process asks to serve what the agent serves: the agent finishes what it does, and lets it", "lease", p.opts.Name, "asks", asked(p.seen))
	p.wanted, p.given, p.taken = false, now, false
}

// takeBack has the agent serve, as nobody else does. It needs p.mu held.
func (p *Post) takeBack(now time.Time, holder string) {
	p.opts.Log.Info("Nobody else serves what the agent had given away: it takes it back", "lease", p.opts.Name, "after", p.opts.TakeBack.String(), "last", holder)
	p.wanted = true
	if released := holder == "" && p.taken; released {
		p.failures, p.heed = 0, time.Time{}
		return
	}
	if !p.given.IsZero() && now.Sub(p.given) > steady {
		p.failures = 0
	}
	p.failures++
	p.heed = now.Add(min(p.opts.TakeBack<<min(p.failures, 10), maxPause))
}

// wants says whether this process is to serve.
func (p *Post) wants() bool {
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	return wanted && p.opts.Leading()
}
