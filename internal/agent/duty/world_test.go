package duty_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term/termtest"
	"github.com/slipway-dev/slipway/internal/lab/labtest"
)

const (
	agentLease = "agent"
	patience   = 90 * time.Second
	// The electors' times, shorter than in the agent.
	leaseDuration, renewDeadline, retryPeriod = 3 * time.Second, 2 * time.Second, 100 * time.Millisecond
	takeBack                                  = 4 * time.Second
)

// world is a namespace in which an agent and servers may serve delivery. It fails the test if two do at once.
type world struct {
	*testing.T
	env    *labtest.Env
	leases coordination.LeaseInterface
	floor  *termtest.Floor
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	env := labtest.ControlPlane(t)
	return &world{T: t, env: env, leases: env.Clientset(t).CoordinationV1().Leases(env.Namespace), floor: termtest.NewFloor(t)}
}

func (w *world) serves(who string) bool { return w.floor.Has(who) }

func (w *world) await(what string, holds func() bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.Fatalf("waited %s for: %s; the lease is %+v", patience, what, w.lease())
		}
	}
}

// lease is that of delivery; nil: there is none.
func (w *world) lease() *coordinationv1.Lease {
	lease, err := w.leases.Get(context.WithoutCancel(w.Context()), duty.LeaseName("delivery"), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	return lease
}

func (w *world) holder() string {
	lease := w.lease()
	if lease == nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// edit changes the lease by hand.
func (w *world) edit(patch string) {
	w.Helper()
	_, err := w.leases.Patch(w.Context(), duty.LeaseName("delivery"), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		w.Error(err)
	}
}

// follow has a post followed until the test ends, and a shift that holds the lease by a record.
func (w *world) follow(post *duty.Post, fence *term.Fence) (*duty.Shift, resourcelock.LeaderElectionRecord) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	followed := make(chan struct{})
	go func() { _ = post.Follow(ctx); close(followed) }()
	w.Cleanup(func() { cancel(); <-followed })
	_, shift := post.Shift(ctx, fence)
	held := resourcelock.LeaderElectionRecord{HolderIdentity: shift.Identity(), LeaseDurationSeconds: 15, RenewTime: metav1.Now(), AcquireTime: metav1.Now()}
	w.await("the shift holds the lease", func() bool {
		record, _, err := shift.Get(w.Context())
		if err != nil || record.HolderIdentity != "" {
			return false
		}
		return shift.Update(w.Context(), held) == nil
	})
	return shift, held
}

// wire is the way of a process to the API server.
type wire struct {
	cut    atomic.Bool // nothing gets through
	lists  atomic.Bool // nothing may be listed
	deaf   atomic.Bool // what is watched doesn't arrive
	writes atomic.Int64
	all    atomic.Int64
}

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper {
	return labtest.RoundTripper(func(req *http.Request) (*http.Response, error) {
		w.all.Add(1)
		if req.Method != http.MethodGet {
			w.writes.Add(1)
		}
		if w.cut.Load() {
			return nil, errors.New("cut off")
		}
		if w.lists.Load() && strings.HasSuffix(req.URL.Path, "/leases") && req.Method == http.MethodGet {
			return nil, errors.New("not allowed")
		}
		resp, err := next.RoundTrip(req)
		if err == nil && req.URL.Query().Has("watch") {
			resp.Body = &stream{ReadCloser: resp.Body, deaf: &w.deaf, closed: make(chan struct{})}
		}
		return resp, err
	})
}

// stream is what a watch answers. It stops at what arrives once the watcher is deaf.
type stream struct {
	io.ReadCloser
	deaf   *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	if s.deaf.Load() {
		<-s.closed
		return 0, io.EOF
	}
	return n, err
}

func (s *stream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.ReadCloser.Close()
}

func (w *world) client(through *wire) coordination.LeaseInterface {
	w.Helper()
	cfg := rest.CopyConfig(w.env.Config)
	cfg.QPS = -1
	cfg.Wrap(through.wrap)
	c, err := coordination.NewForConfig(cfg)
	if err != nil {
		w.Fatal(err)
	}
	return c.Leases(w.env.Namespace)
}

// process is one that runs. stop has it let go; kill doesn't let it.
type process struct {
	wire  wire
	terms string
	lock  *duty.Server // of one that serves nothing but delivery
	stop  func()
	ended chan struct{}
}

func (p *process) kill() {
	p.wire.cut.Store(true)
	p.stop()
	<-p.ended
}

// elect runs an elector until ctx ends or it loses, and works in between; it lets go after that.
func (w *world) elect(ctx context.Context, lock resourcelock.Interface, name string) {
	held, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	lost, started := make(chan struct{}), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { w.floor.Enter(name); close(started) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		w.Error(err)
		return
	}
	go func() { elector.Run(held); close(lost) }()
	select {
	case <-ctx.Done():
	case <-lost:
	}
	if elector.IsLeader() {
		<-started
	}
	select {
	case <-started:
		w.floor.Leave(name)
	default:
	}
	cancel()
	<-lost
}

// server runs a process that serves nothing but delivery.
func (w *world) server(name string, change ...func(*process)) *process {
	w.Helper()
	p := &process{ended: make(chan struct{})}
	for _, c := range change {
		c(p)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	p.stop = cancel
	fence := &term.Fence{}
	p.lock = duty.NewServer(duty.ServerOptions{
		Leases: w.client(&p.wire), Name: duty.LeaseName("delivery"), Agent: agentLease, Identity: name, Fence: fence, Renew: renewDeadline,
		Terms: p.terms,
	})
	go func() { w.elect(ctx, p.lock, name); close(p.ended) }()
	w.Cleanup(func() { cancel(); <-p.ended })
	return p
}

// agent runs an agent, which elects as agents do.
func (w *world) agent(name string, change ...func(*process)) *process {
	w.Helper()
	p := &process{ended: make(chan struct{})}
	for _, c := range change {
		c(p)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	p.stop = cancel
	leases := w.client(&p.wire)
	lock := term.NewLock(term.Options{Leases: leases, Name: agentLease, Identity: name, Slot: v1alpha1.SlotA, RenewDeadline: renewDeadline})
	post := duty.NewPost(duty.Options{
		Leases: leases, Name: duty.LeaseName("delivery"), Identity: name, Leading: lock.Leading, Holding: lock.Holding, TakeBack: takeBack, Renew: renewDeadline,
		Terms: p.terms,
	})
	held, release := context.WithCancel(context.WithoutCancel(w.Context()))
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { _ = post.Follow(ctx) },
			OnStoppedLeading: func() { cancel() },
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	var parts sync.WaitGroup
	parts.Go(func() { elector.Run(held) })
	go func() {
		for ctx.Err() == nil {
			shift, lock := post.Shift(ctx, &term.Fence{})
			w.elect(shift, lock, name)
			lock.Leave()
		}
		release()
		parts.Wait()
		close(p.ended)
	}()
	w.Cleanup(func() { cancel(); <-p.ended })
	return p
}
