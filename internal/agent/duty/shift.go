package duty

import (
	"context"
	"errors"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// errNotHere says that it isn't for this process to serve.
var errNotHere = errors.New("it isn't for this process to serve")

// Shift is what an elector of the agent holds while it stands by to serve a part, and while it serves. It implements resourcelock.Interface.
// While it doesn't serve, and while it holds the Lease, it makes no requests.
type Shift struct {
	post  *Post
	fence *term.Fence
	leave context.CancelFunc

	// What follows needs post.mu held.
	holds bool
	lease *coordinationv1.Lease // as last read or written by this shift
	looks int
}

var _ resourcelock.Interface = &Shift{}

// Shift begins a shift, which takes the place of the one before; that one must have ended. The context ends when the shift is to end, or
// ctx does. The fence is kept open while the Lease is held.
func (p *Post) Shift(ctx context.Context, fence *term.Fence) (context.Context, *Shift) {
	ctx, cancel := context.WithCancel(ctx)
	s := &Shift{post: p, fence: fence, leave: cancel}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shift = s
	return ctx, s
}

// Get implements resourcelock.Interface. While it isn't for this process to serve, somebody else seems to.
func (s *Shift) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	p := s.post
	wanted := p.wants()
	p.mu.Lock()
	holds := s.holds
	s.looks++
	looks := s.looks
	p.mu.Unlock()
	if !holds && !wanted {
		return &resourcelock.LeaderElectionRecord{HolderIdentity: "another"}, []byte("another " + strconv.Itoa(looks)), nil
	}
	lease, err := read(ctx, p.opts.Leases, p.opts.Name)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	s.lease = lease
	p.mu.Unlock()
	if holds && holderOf(lease) != p.opts.Identity {
		s.fence.Close()
	}
	record, raw, err := recordOf(lease, "")
	if err == nil && ByAgent(record.HolderIdentity) && !holds {
		record.HolderIdentity = "" // of an agent that doesn't lead any more, or of an earlier shift
	}
	return record, raw, err
}

// Create implements resourcelock.Interface. It isn't called: a Lease that isn't there is nobody's.
func (s *Shift) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return s.Update(ctx, record)
}

// Update implements resourcelock.Interface.
func (s *Shift) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	p := s.post
	p.mu.Lock()
	holds, last, watching := s.holds, s.lease, p.watching
	theirs := holds && p.seen != nil && holderOf(p.seen) != p.opts.Identity || holds && p.seen == nil
	p.mu.Unlock()
	switch {
	case record.HolderIdentity == "":
		return s.release(ctx, last, record)
	case holds && !p.opts.Holding():
		return errNotHere
	case holds && theirs:
		s.fence.Close()
		return nil // the shift is ending
	case holds && watching && s.fence.Open(): // one that was held up for longer asks: the watch may be late too
		s.fence.Extend(time.Now().Add(p.opts.Renew))
		return nil
	case !holds && !p.wants():
		return errNotHere
	}
	asker := ""
	if holds {
		asker = asked(last)
	}
	began := time.Now()
	written, err := put(ctx, p.opts.Leases, p.opts.Name, last, record, asker, p.opts.Terms)
	if err != nil {
		return err
	}
	s.fence.Extend(began.Add(p.opts.Renew))
	s.wrote(written, true)
	return nil
}

// release lets go of the Lease, after which nothing is written any more.
func (s *Shift) release(ctx context.Context, last *coordinationv1.Lease, record resourcelock.LeaderElectionRecord) error {
	s.fence.Close()
	if last == nil || holderOf(last) != s.post.opts.Identity {
		return nil
	}
	written, err := put(ctx, s.post.opts.Leases, s.post.opts.Name, last, record, asked(last), s.post.opts.Terms)
	if err != nil {
		return err
	}
	s.wrote(written, false)
	return nil
}

func (s *Shift) wrote(lease *coordinationv1.Lease, holds bool) {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.lease, s.holds = lease, holds
	s.post.see(lease)
}

// Leave ends the shift, as its context does.
func (s *Shift) Leave() { s.leave() }

// RecordEvent implements resourcelock.Interface. Who serves is in the log and in the Lease.
func (s *Shift) RecordEvent(string) {}

// Identity implements resourcelock.Interface.
func (s *Shift) Identity() string { return s.post.opts.Identity }

// Describe implements resourcelock.Interface.
func (s *Shift) Describe() string { return s.post.opts.Name }
