package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/delivery"
	"github.com/slipway-dev/slipway/internal/delivery/aside"
	"github.com/slipway-dev/slipway/internal/delivery/sources"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/health/interpreters"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/bucket"
	"github.com/slipway-dev/slipway/internal/source/oci"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// ground is what everything in a process stands on.
type ground struct {
	cfg      *rest.Config
	opts     Options
	tel      *telemetry.Telemetry
	clients  *kube.Clients
	store    *source.Store
	registry *interpret.Registry
	events   *kube.Recorder // of what is Slipway's own
}

func newGround(cfg *rest.Config, tel *telemetry.Telemetry, opts Options) (*ground, error) {
	clients, err := kube.NewClients(cfg)
	if err != nil {
		return nil, err
	}
	store, err := source.NewStore(filepath.Join(opts.DataDir, "store"))
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", opts.DataDir, err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	core, err := typedcorev1.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("prepare events: %w", err)
	}
	return &ground{
		cfg: cfg, opts: opts, tel: tel, clients: clients, store: store, registry: interpret.NewRegistry(interpreters.All()...),
		events: kube.NewRecorder(core, scheme, cfg.UserAgent),
	}, nil
}

// deliverer is delivery in one manager.
type deliverer struct {
	reader         client.Reader
	elected        <-chan struct{}
	clients        *kube.Clients
	gate           *aside.Gate
	kinds          *kinds
	kustomizations *delivery.KustomizationReconciler
}

// setUpDelivery builds the layers of delivery from the ground up, and registers what runs. ctx is that of the manager.
func setUpDelivery(ctx context.Context, mgr manager.Manager, clients *kube.Clients, g *ground) (*deliverer, error) {
	opts, tel, store := g.opts, g.tel, g.store
	tel.Observe(storeOf(store))
	core, err := typedcorev1.NewForConfig(mgr.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("prepare events: %w", err)
	}
	kustomizeEvents := kube.NewRecorder(core, mgr.GetScheme(), "kustomize-controller")
	sourceEvents := kube.NewRecorder(core, mgr.GetScheme(), "source-controller")
	gate, err := standAside(mgr, opts)
	if err != nil {
		return nil, err
	}
	opts.Kustomizations.Aside = gate
	layers := layersWith(g.registry)
	engine, pool := layers(clients, nil)
	d := &deliverer{reader: mgr.GetClient(), elected: mgr.Elected(), clients: clients, gate: gate}
	sourceOpts := opts.Sources
	sourceOpts.Telemetry, sourceOpts.Store, sourceOpts.Events, sourceOpts.Advertise = tel, store, sourceEvents, opts.Advertise
	sourceOpts.Stored = func(ctx context.Context, kind string, key types.NamespacedName) {
		d.kustomizations.SourceStored(ctx, kind, key)
	}
	sourceOpts.Aside = gate
	fetchers := sources.SetUp(ctx, mgr, sourceOpts)
	d.kustomizations, err = delivery.SetupKustomization(ctx, mgr, delivery.Parts{
		Clients: clients, Events: kustomizeEvents, Store: store, Sources: fetchers, Builder: build.New(), Engine: engine, Pool: pool, Open: layers, Assess: g.registry.Assess, Telemetry: tel,
	}, opts.Kustomizations)
	if err != nil {
		return nil, err
	}
	git, registries, archives, s3 := source.NewGit(store, gitOptions(opts)...), oci.NewClient(store), source.NewArtifacts(store), bucket.New(store)
	reader, limits := mgr.GetAPIReader(), opts.Sources.Limits
	fetched := func(kind sources.Kind) served {
		return served{
			gvk: sourcev1.GroupVersion.WithKind(kind.Name()),
			begin: func(context.Context) error {
				if err := fetchers.Serve(kind); err != nil {
					return err
				}
				return d.kustomizations.Follow(kind)
			},
			came: func(ctx context.Context) { d.kustomizations.SourceKindServed(ctx, kind.Name()) },
		}
	}
	d.kinds = &kinds{mapper: mgr.GetRESTMapper(), log: mgr.GetLogger()}
	if err := d.kinds.offer(
		ctx,
		fetched(sources.GitRepositories(git, store, mgr.GetClient(), reader, limits)),
		fetched(sources.OCIRepositories(registries, reader, limits)),
		fetched(sources.Buckets(s3, reader, limits)),
		fetched(sources.ExternalArtifacts(archives, limits)),
	); err != nil {
		return nil, err
	}
	if err := setUpReceivers(ctx, mgr, clients, core, fetchers, opts); err != nil {
		return nil, err
	}
	for _, r := range []manager.Runnable{leading(d.kinds.run), leading(kustomizeEvents.Start), leading(sourceEvents.Start), everywhere(closing(d.kustomizations.Wait, pool.Close, fetchers.Wait, git.Close, registries.Close, archives.Close, s3.Close)), artifacts(opts.ArtifactAddress, store)} {
		if err := mgr.Add(r); err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
	}
	return d, nil
}

// definitionChanged notes that the definition of a kind came, changed or went; any may have where it has no name.
func (d *deliverer) definitionChanged(name string) {
	d.clients.Invalidate()
	d.kustomizations.KindsChanged(name)
	d.kinds.changed(name)
}

// problem says why delivery isn't served, though it is here that it should be: a kind isn't known, or a controller of Flux's does the same
// work. Empty: it is.
func (d *deliverer) problem() string {
	var problems []string
	if why := d.gate.Why(); why != "" {
		problems = append(problems, "the agent stands aside: "+why)
	}
	if lacking := d.kinds.lacks(sourcev1.GroupVersion.Group, kustomizev1.GroupVersion.Group); len(lacking) > 0 {
		problems = append(problems, fmt.Sprintf("the cluster doesn't know %s: install the definitions with `slipway install`", strings.Join(lacking, ", ")))
	}
	return strings.Join(problems, "; ")
}
