package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/kube"
)

// renewDeadline is how long a replica that leads tries to renew its lease before it gives up, which is before others may take it.
const renewDeadline = 10 * time.Second

// seat is the place of this process in its cluster: its part in the election, and in the agent's own upgrade.
type seat struct {
	fence term.Fence
	lock  *term.Lock
	// leases are of a client without the fence.
	leases coordination.LeasesGetter
	// leave has the process end when it has handed its work over.
	leave func()

	driver *upgrade.Driver // nil: no part in self-upgrade
	watch  client.WithWatch
	events *kube.Recorder
	proof  atomic.Pointer[proof]
}

// Names are those of the agent's objects as 'slipway install' makes them.
func Names() upgrade.Names { return upgrade.Names{Agent: "slipway-agent", Container: "agent"} }

// takeSeat prepares the process's place. cfg is without the fence that is to come.
func (o Options) takeSeat(cfg *rest.Config) (*seat, error) {
	s := &seat{leave: func() {}}
	leases, err := coordination.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("prepare the lease: %w", err)
	}
	s.leases = leases
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("ask for the name of this host: %w", err)
	}
	lease := term.Options{
		Leases: leases.Leases(o.LeaseNamespace), Name: Names().Agent, Identity: host + "_" + string(uuid.NewUUID()),
		Slot: cmp.Or(o.Slot, v1alpha1.SlotA), Fence: &s.fence, RenewDeadline: renewDeadline,
		Deposed: func() {
			o.Log.Info("The agent of the other slot takes over: this one finishes what it does, and stands by when it is started again")
			s.leave()
		},
	}
	if o.Slot != "" {
		if err := s.prepareUpgrades(cfg, o, leases); err != nil {
			return nil, err
		}
		lease.Rightful = s.driver.Rightful
	}
	s.lock = term.NewLock(lease)
	return s, nil
}

// prepareUpgrades makes the driver of self-upgrade.
func (s *seat) prepareUpgrades(cfg *rest.Config, o Options, leases coordination.LeasesGetter) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("register the kinds: %w", err)
	}
	var err error
	if s.watch, err = client.NewWithWatch(cfg, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("prepare self-upgrade: %w", err)
	}
	core, err := typedcorev1.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("prepare events: %w", err)
	}
	s.events = kube.NewRecorder(core, scheme, userAgent)
	s.driver = upgrade.New(upgrade.Options{
		Client: s.watch, Leases: leases.Leases(o.LeaseNamespace), Namespace: o.LeaseNamespace, Name: Names(), Slot: o.Slot,
		Leading: func() bool { return !o.LeaderElect || s.lock.Leading() },
		Elects:  o.LeaderElect, Off: o.NoSelfUpgrade, Prove: s.prove, Events: s.events, Log: o.Log.WithName("upgrade"),
	})
	return nil
}

// drive looks after upgrades of the agent until ctx ends; the returned function waits for that. It depends on nothing that the work of the
// agent depends on: an agent that can't work can still take back.
func (s *seat) drive(ctx context.Context) (wait func()) {
	if s.driver == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	parts.Go(func() { _ = s.driver.Run(ctx, s.watch) })
	parts.Go(func() { _ = s.events.Start(ctx) })
	return func() {
		cancel()
		parts.Wait()
	}
}

// post is this process's place as one who serves delivery, which it may have to leave to others. Nil: nobody elects anybody.
func (s *seat) post(o Options) (*duty.Post, error) {
	if !o.LeaderElect || o.LeaseNamespace == "" {
		return nil, nil
	}
	terms, err := o.terms()
	if err != nil {
		return nil, err
	}
	return duty.NewPost(duty.Options{
		Leases: s.leases.Leases(o.LeaseNamespace), Name: duty.LeaseName(v1alpha1.BuiltinDelivery), Identity: s.lock.Identity(),
		Leading: s.lock.Leading, Holding: s.lock.Holding, Terms: terms, TakeBack: o.TakeBack, Renew: renewDeadline, Log: o.Log.WithName("duty"),
	}), nil
}

// leaseDuration is for how long a lease counts that isn't renewed: controller-runtime's default.
const leaseDuration = 15 * time.Second

// keepOthersOut sees to it that nobody else serves delivery where agents don't elect: they couldn't let go of it.
func (s *seat) keepOthersOut(ctx context.Context, o Options) error {
	if o.LeaderElect || o.LeaseNamespace == "" {
		return nil
	}
	return duty.Alone(ctx, s.leases.Leases(o.LeaseNamespace), duty.LeaseName(v1alpha1.BuiltinDelivery), leaseDuration)
}

// works tells the seat what the agent's work is seen by.
func (s *seat) works(mgr manager.Manager, w *wing) {
	s.proof.Store(&proof{reader: w, unserved: w.unserved, elected: mgr.Elected(), now: time.Now})
}

// prove says what this agent has shown since it took over.
func (s *seat) prove(ctx context.Context, since time.Time) []v1alpha1.AgentCheck {
	p := s.proof.Load()
	if p == nil {
		return nil
	}
	return p.checks(ctx, since)
}
