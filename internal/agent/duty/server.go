package duty

import (
	"context"
	"strconv"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// ServerOptions of a Server. All are required.
type ServerOptions struct {
	// Leases of the agent's namespace, through a client without a fence.
	Leases coordination.LeaseInterface
	// Name of the Lease, and Agent that of the Lease by which agents elect one of them.
	Name, Agent string
	// Identity of this process, which no other one has.
	Identity string
	// Fence is kept open while this process holds the Lease.
	Fence *term.Fence
	// Renew is how long the elector tries to renew before it gives up.
	Renew time.Duration
}

// Server is what an elector of a process holds that serves nothing but a part. It implements resourcelock.Interface.
type Server struct {
	opts ServerOptions

	mu    sync.Mutex
	lease *coordinationv1.Lease // as last seen; nil: never
	held  bool
	looks int
}

var _ resourcelock.Interface = &Server{}

// NewServer returns the lock of a process.
func NewServer(opts ServerOptions) *Server { return &Server{opts: opts} }

// Get implements resourcelock.Interface. While agents hold the Lease it asks for it, and the hold counts as renewed whenever that of the
// agent's own Lease is. Where the Lease isn't there, or is that of an agent that doesn't elect, it is never free.
func (s *Server) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	lease, err := read(ctx, s.opts.Leases, s.opts.Name)
	if err != nil {
		return nil, nil, err
	}
	s.lost(holderOf(lease))
	if lease == nil || holderOf(lease) == alone {
		return s.never()
	}
	more := ""
	if ByAgent(holderOf(lease)) {
		agent, err := read(ctx, s.opts.Leases, s.opts.Agent)
		if err != nil {
			return nil, nil, err
		}
		if agent != nil {
			more = agent.ResourceVersion
		}
		if asked(lease) == "" {
			asks := lease.DeepCopy()
			ask(asks, s.opts.Identity)
			if lease, err = s.opts.Leases.Update(ctx, asks, metav1.UpdateOptions{}); err != nil {
				return nil, nil, err // somebody was faster
			}
		}
	}
	s.mu.Lock()
	s.lease = lease
	s.mu.Unlock()
	return recordOf(lease, more)
}

// lost has nothing written any more by a process whose Lease was taken from it before it had run out: by hand.
func (s *Server) lost(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held && holder != s.opts.Identity {
		s.held = false
		s.opts.Fence.Close()
	}
}

// never is what an elector knows of a Lease that isn't free, and never will be by itself.
func (s *Server) never() (*resourcelock.LeaderElectionRecord, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	return &resourcelock.LeaderElectionRecord{HolderIdentity: alone}, []byte(alone + strconv.Itoa(s.looks)), nil
}

// Create implements resourcelock.Interface. It isn't called: Get always finds a holder.
func (s *Server) Create(context.Context, resourcelock.LeaderElectionRecord) error { return errNotHere }

// Update implements resourcelock.Interface.
func (s *Server) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		s.opts.Fence.Close()
	}
	s.mu.Lock()
	last := s.lease
	s.mu.Unlock()
	if last == nil {
		return errNotHere
	}
	began := time.Now()
	written, err := put(ctx, s.opts.Leases, s.opts.Name, last, record, s.opts.Identity)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.lease, s.held = written, record.HolderIdentity != ""
	s.mu.Unlock()
	if record.HolderIdentity != "" {
		s.opts.Fence.Extend(began.Add(s.opts.Renew))
	}
	return nil
}

// RecordEvent implements resourcelock.Interface. Who serves is in the log and in the Lease.
func (s *Server) RecordEvent(string) {}

// Identity implements resourcelock.Interface.
func (s *Server) Identity() string { return s.opts.Identity }

// Describe implements resourcelock.Interface.
func (s *Server) Describe() string { return s.opts.Name }
