package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/author"
	"github.com/slipway-dev/slipway/internal/module/builtin"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
	"github.com/slipway-dev/slipway/internal/module/supply"
)

// modules is the module manager of this agent.
type modules struct {
	*ground
	mgr     manager.Manager
	builtin builtin.Parts // of the parts of Slipway: what only the agent knows of them

	mu    sync.Mutex
	pool  *observe.Pool
	shelf *supply.Shelf
}

// setUpModules registers what takes Interpreters into use, before anything is judged by them, and what carries Modules through their lives.
func setUpModules(ctx context.Context, mgr manager.Manager, g *ground, w *wing) (*modules, *kinds, error) {
	mods := &modules{ground: g, mgr: mgr, builtin: builtin.Parts{Capabilities: w.parts()}}
	all := &kinds{mapper: mgr.GetRESTMapper(), log: mgr.GetLogger()}
	return mods, all, all.offer(ctx, append([]served{taught(mgr, g.registry, g.events)}, mods.kind()...)...)
}

// kind is what the agent serves as soon as the cluster knows Modules. One that takes care of single namespaces serves none: a Module is the whole
// cluster's.
func (m *modules) kind() []served {
	if len(m.opts.Namespaces) > 0 || m.opts.LeaseNamespace == "" {
		return nil
	}
	return []served{{gvk: v1alpha1.GroupVersion.WithKind(v1alpha1.ModuleKind), begin: m.begin}}
}

// begin sets up what carries Modules through their lives.
func (m *modules) begin(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	mgr, namespace := m.mgr, m.opts.LeaseNamespace
	// What a plan and an attempt read has to be as it is now, and Secrets are too many to be kept.
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("prepare a client for modules: %w", err)
	}
	all, err := unselected(mgr)
	if err != nil {
		return err
	}
	m.shelf, err = supply.New(supply.Settings{
		Reader: direct, Namespace: namespace, Dir: filepath.Join(m.opts.DataDir, "modules"), AllowFile: m.opts.AllowFile,
		Insecure: m.opts.InsecureRegistries, Verify: m.opts.Verify, TrustedRoot: m.opts.TrustedRoot,
		Asked: func(ctx context.Context, of *v1alpha1.Module) (string, error) {
			return author.Asked(ctx, author.Clients{Reader: direct, Writer: direct}, of)
		},
	})
	if err != nil {
		return fmt.Errorf("prepare the store of packages: %w", err)
	}
	store := revision.NewStore(direct, namespace)
	planner := plan.New(plan.Settings{
		Clients: m.clients, Client: direct, Revisions: store, Packages: m.shelf, Images: m.shelf.Images(), Assess: m.registry.Assess,
		Agent: permit.Agent{Namespace: namespace, Accounts: []string{userAgent}}, Version: m.opts.Version,
	})
	m.pool = observe.New(m.clients, observe.Options{
		Group: attempt.Group, ManagerOf: plan.Manager, Assess: assess(m.registry), NeedsBody: m.registry.NeedsBody, Rules: rules(m.registry),
	})
	reconciler := attempt.New(attempt.Parts{
		Modules: all, Direct: direct, Clients: m.clients, Engine: apply.New(m.clients, m.pool, apply.Settings{Group: attempt.Group}), Pool: m.pool,
		Store: store, Planner: planner, Permits: &permits{cached: all, direct: direct}, Events: m.events, Assess: m.registry.Assess,
		Metrics: m.opts.moduleMetrics, Secret: m.shelf.Secret, Namespace: namespace,
	}, attempt.Settings{})
	if err := reconciler.SetUp(mgr, all); err != nil {
		return err
	}
	return m.beginBuiltin(mgr, all, direct, func() { reconciler.Nudge() })
}

// close lets go of what modules use.
func (m *modules) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pool != nil {
		m.pool.Close()
	}
	if m.shelf != nil {
		m.shelf.Close()
	}
}

// showModules registers the metrics of modules where those of the agent are, until the returned function is called.
func (o Options) showModules() (*attempt.Metrics, func(), error) {
	m := attempt.NewMetrics()
	registry := o.registerer()
	if registry == nil {
		return m, func() {}, nil
	}
	if err := registry.Register(m); err != nil {
		return nil, nil, fmt.Errorf("register the metrics of modules: %w", err)
	}
	return m, func() { registry.Unregister(m) }, nil
}
