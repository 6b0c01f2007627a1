package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/uuid"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/duty"
	"github.com/slipway-dev/slipway/internal/agent/upgrade/term"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// PartNames are the parts of Slipway that a process can serve alone.
func PartNames() []string { return []string{v1alpha1.BuiltinDelivery} }

// ErrPart says that a process can't serve a part alone with its options.
var ErrPart = errors.New("this part can't be served alone")

// runPart serves one part of Slipway, and nothing else: no modules and no upgrades of the agent. It works while it holds the Lease of the part,
// which it asks the agent for. Interpreters are obeyed; their status is the agent's to write.
func runPart(ctx context.Context, cfg *rest.Config, tel *telemetry.Telemetry, opts Options) error {
	switch {
	case !slices.Contains(PartNames(), opts.Serve):
		return fmt.Errorf("%w: there is none called %q, but %s", ErrPart, opts.Serve, strings.Join(PartNames(), ", "))
	case !opts.LeaderElect || opts.LeaseNamespace == "":
		return fmt.Errorf("%w: it takes leader election in the agent's namespace, so that the agent lets go of it", ErrPart)
	}
	cfg.UserAgent = duty.LeaseName(opts.Serve)
	lock, fence, err := opts.partLock(cfg)
	if err != nil {
		return err
	}
	cfg.Wrap(fence.Wrap)
	mgr, err := newManager(cfg, managing{lock: lock, id: lock.Describe(), listens: true}, opts)
	if err != nil {
		return err
	}
	// It elects when it has read what it serves: one that may not is never ready.
	if err := mgr.AddReadyzCheck("fit", func(*http.Request) error { return lock.Fit() }); err != nil {
		return fmt.Errorf("add probes: %w", err)
	}
	if err := reached(ctx, opts.Log, func() error { return installed(mgr.GetRESTMapper(), opts) }); err != nil {
		return err
	}
	g, err := newGround(cfg, tel, opts)
	if err != nil {
		return err
	}
	learnt := &kinds{mapper: mgr.GetRESTMapper(), log: mgr.GetLogger()}
	if err := learnt.offer(ctx, taught(mgr, g.registry, nil)); err != nil {
		return err
	}
	d, err := setUpDelivery(ctx, mgr, g.clients, g)
	if err != nil {
		return err
	}
	definitions := func(ctx context.Context) error {
		return g.clients.WatchDefinitions(ctx, func(name string) {
			d.definitionChanged(name)
			learnt.changed(name)
		})
	}
	for _, r := range []manager.Runnable{leading(definitions), leading(learnt.run)} {
		if err := mgr.Add(r); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("serve %s: %w", opts.Serve, err)
	}
	return nil
}

// partLock is what a process that serves a part alone elects by. cfg is without the fence, which is returned.
func (o Options) partLock(cfg *rest.Config) (*duty.Server, *term.Fence, error) {
	leases, err := coordination.NewForConfig(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the lease: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the name of this host: %w", err)
	}
	terms, err := o.terms()
	if err != nil {
		return nil, nil, err
	}
	fence := &term.Fence{}
	return duty.NewServer(duty.ServerOptions{
		Leases: leases.Leases(o.LeaseNamespace), Name: duty.LeaseName(o.Serve), Agent: Names().Agent,
		Identity: host + "_" + string(uuid.NewUUID()), Fence: fence, Renew: renewDeadline, Terms: terms, Log: o.Log.WithName("duty"),
	}), fence, nil
}
