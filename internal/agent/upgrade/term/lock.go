package term

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Options of a Lock.
type Options struct {
	// Leases of the agent's namespace, through a client without a fence. Required.
	Leases coordination.LeaseInterface
	// Name of the Lease. Required.
	Name string
	// Identity of this process, which no other one has. Required.
	Identity string
	// Slot of this process. Required.
	Slot v1alpha1.AgentSlot
	// Rightful is asked whose the Lease is when it isn't there; the zero tenure: anybody's. Default: anybody's.
	Rightful func(context.Context) (Tenure, error)
	// Fence is kept open while this process holds the Lease. Default: none.
	Fence *Fence
	// Deposed is told once when this process holds the Lease and it has become the other slot's: it should finish what it does and let go.
	Deposed func()

	// RenewDeadline is how long the elector tries to renew before it gives up, which it must do before others may take over: writes are
	// let through for as long after the last renewal. Default: 10s, as controller-runtime's.
	RenewDeadline time.Duration
	// Silence is how long the other slot's processes may be silent before this one takes the Lease. Default: 1m.
	Silence time.Duration
	// Drain is how long this process may renew after it was deposed. Default: 40s.
	Drain time.Duration
}

// maxGap is the longest pause between two looks of an elector at the Lease that isn't a pause of this process: an elector looks every two
// seconds.
const maxGap = 15 * time.Second

// Lock is what an elector of one process holds. It implements resourcelock.Interface.
type Lock struct {
	opts Options

	mu      sync.Mutex
	lease   *coordinationv1.Lease // as last seen
	silence Silence
	silent  bool
	known   Tenure // the highest term that this process has seen
	deposed time.Time
	leading bool
}

var _ resourcelock.Interface = &Lock{}

// NewLock returns the lock of a process.
func NewLock(opts Options) *Lock {
	opts.RenewDeadline = cmp.Or(opts.RenewDeadline, 10*time.Second)
	opts.Silence = cmp.Or(opts.Silence, time.Minute)
	opts.Drain = cmp.Or(opts.Drain, 40*time.Second)
	if opts.Fence == nil {
		opts.Fence = &Fence{}
	}
	return &Lock{opts: opts, silence: Silence{After: opts.Silence, Gap: maxGap}}
}

// Leading says whether this process holds the Lease, and it is its slot's.
func (l *Lock) Leading() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leading && l.deposed.IsZero() && l.opts.Fence.Open()
}

// Holding says whether this process holds the Lease, be it that it only finishes what it does.
func (l *Lock) Holding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leading && l.opts.Fence.Open()
}

// Get implements resourcelock.Interface.
func (l *Lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	lease, err := l.opts.Leases.Get(ctx, l.opts.Name, metav1.GetOptions{})
	if err != nil {
		return nil, nil, err // as it is: electors look into it
	}
	l.mu.Lock()
	l.see(lease)
	l.silent = l.silence.Heard(lease.ResourceVersion, time.Now())
	l.mu.Unlock()
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	raw, err := json.Marshal(record)
	if err != nil {
		return nil, nil, err
	}
	return record, raw, nil
}

// Create implements resourcelock.Interface.
func (l *Lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	var rightful Tenure
	if l.opts.Rightful != nil {
		var err error
		if rightful, err = l.opts.Rightful(ctx); err != nil {
			return err
		}
	}
	l.mu.Lock()
	if l.known.Term > rightful.Term {
		rightful = l.known
	}
	l.mu.Unlock()
	if rightful.Slot != "" && rightful.Slot != l.opts.Slot {
		return fmt.Errorf("the lease was deleted: %w", ErrOtherSlot)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: l.opts.Name}, Spec: resourcelock.LeaderElectionRecordToLeaseSpec(&record)}
	l.stamp(lease, Tenure{Slot: l.opts.Slot, Term: max(rightful.Term, 1)})
	began := time.Now()
	made, err := l.opts.Leases.Create(ctx, lease, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	l.written(made, began)
	return nil
}

// Update implements resourcelock.Interface. It is an [ErrOtherSlot] if the Lease is the other slot's, unless that one is silent, or this
// process still holds the Lease and is finishing what it does.
func (l *Lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	l.mu.Lock()
	lease, err := l.next(record)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	began := time.Now()
	written, err := l.opts.Leases.Update(ctx, lease, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	l.written(written, began)
	return nil
}

// next is the Lease with a record in it.
func (l *Lock) next(record resourcelock.LeaderElectionRecord) (*coordinationv1.Lease, error) {
	if l.lease == nil {
		return nil, fmt.Errorf("lease %s wasn't read yet", l.opts.Name)
	}
	lease := l.lease.DeepCopy()
	tenure, mine := Of(lease), holderOf(lease).Identity == l.opts.Identity
	lease.Spec = resourcelock.LeaderElectionRecordToLeaseSpec(&record)
	switch {
	case tenure.Slot == "":
		l.stamp(lease, Tenure{Slot: l.opts.Slot, Term: max(tenure.Term, l.known.Term, 1)})
	case tenure.Slot == l.opts.Slot:
		l.stamp(lease, tenure)
	case mine && (record.HolderIdentity == "" || time.Since(l.deposed) < l.opts.Drain):
	case !mine && l.silent:
		l.stamp(lease, tenure.Next(l.opts.Slot))
	default:
		return nil, ErrOtherSlot
	}
	return lease, nil
}

// stamp writes that a process of the tenure's slot holds the Lease.
func (l *Lock) stamp(lease *coordinationv1.Lease, t Tenure) {
	hold(lease, t)
	annotate(lease, HeldAnnotation, strconv.FormatInt(t.Term, 10))
}

// written notes a Lease that this process has written; the request began at a time.
func (l *Lock) written(lease *coordinationv1.Lease, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.leading
	l.see(lease)
	switch {
	case l.leading:
		l.opts.Fence.Extend(began.Add(l.opts.RenewDeadline))
	case was:
		l.opts.Fence.Close()
	}
}

// see notes a Lease that was read or written.
func (l *Lock) see(lease *coordinationv1.Lease) {
	l.lease = lease
	holder := holderOf(lease)
	l.leading = holder.Identity == l.opts.Identity
	if holder.Term >= l.known.Term {
		l.known = holder.Tenure
	}
	switch {
	case holder.Slot == l.opts.Slot || holder.Slot == "":
		l.deposed = time.Time{}
	case l.leading && l.deposed.IsZero():
		l.deposed = time.Now()
		if l.opts.Deposed != nil {
			go l.opts.Deposed() // which may ask this lock
		}
	}
}

// RecordEvent implements resourcelock.Interface. Who leads is in the log and in the Lease.
func (l *Lock) RecordEvent(string) {}

// Identity implements resourcelock.Interface.
func (l *Lock) Identity() string { return l.opts.Identity }

// Describe implements resourcelock.Interface.
func (l *Lock) Describe() string { return l.opts.Name }
