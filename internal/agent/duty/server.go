package duty

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
)

// ServerOptions of a Server. All are required, but for what says otherwise.
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
	// Terms on which this process would serve: see TermsAnnotation. Default: none.
	Terms string
	// Log is where it is said why this process doesn't serve. Default: nowhere.
	Log logr.Logger
}

// Server is what an elector of a process holds that serves nothing but a part. It implements resourcelock.Interface.
type Server struct {
	opts ServerOptions

	mu    sync.Mutex
	lease *coordinationv1.Lease // as last seen; nil: never
	held  bool
	looks int
	unfit error // why it is not to serve; nil: it may
}

var _ resourcelock.Interface = &Server{}

// NewServer returns the lock of a process.
func NewServer(opts ServerOptions) *Server { return &Server{opts: opts, unfit: errNotLooked} }

// Get implements resourcelock.Interface. While agents hold the Lease it asks for it, and the hold counts as renewed whenever that of the
// agent's own Lease is. To a process that isn't fit to serve it is never free.
func (s *Server) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	lease, err := read(ctx, s.opts.Leases, s.opts.Name)
	if err != nil {
		return nil, nil, err
	}
	fit := s.fit(lease)
	if !fit || holderOf(lease) != s.opts.Identity {
		s.lost()
	}
	if !fit {
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

// errNotLooked says that the Lease wasn't read yet.
var errNotLooked = errors.New("it hasn't seen yet who serves")

// Fit says why this process isn't to serve; nil: it serves, or stands by and could.
func (s *Server) Fit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unfit
}

// fit tells whether this process may serve by a Lease, and keeps why it may not.
func (s *Server) fit(lease *coordinationv1.Lease) bool {
	var why error
	switch theirs := termsOf(lease); {
	case lease == nil || holderOf(lease) == alone:
		why = fmt.Errorf("no agent has made lease %s that could let go of it: start the agent with --leader-elect", s.opts.Name)
	case theirs != s.opts.Terms:
		why = fmt.Errorf("the agent serves with the settings %s, and this process would with %s: give it the agent's", theirs, s.opts.Terms)
	}
	s.mu.Lock()
	last := s.unfit
	s.unfit = why
	s.mu.Unlock()
	if why != nil && (last == nil || last.Error() != why.Error()) {
		s.opts.Log.Info("This process doesn't serve, and doesn't ask to", "lease", s.opts.Name, "because", why.Error())
	}
	return why == nil
}

// lost has nothing written any more by a process that isn't to serve any longer though its Lease hasn't run out.
func (s *Server) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
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
	written, err := put(ctx, s.opts.Leases, s.opts.Name, last, record, s.opts.Identity, "")
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
