package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/delivery"
	"github.com/slipway-dev/slipway/internal/delivery/sources"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/health/interpreters"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/builtin"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/bucket"
	"github.com/slipway-dev/slipway/internal/source/oci"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// Options say how the agent runs. The zero value of each is its default.
type Options struct {
	// Version of this build of Slipway, against which the ranges of packages are held. Empty: not known, and every range has it.
	Version string
	// DataDir holds what was fetched. Losing it costs one fetch. Required.
	DataDir string
	// Namespaces are watched; none: all.
	Namespaces []string
	// Selector limits the sources and Kustomizations that the agent takes care of.
	Selector labels.Selector
	// FluxNamespaces are where Flux's controllers may run, for which the agent stands aside. None: flux-system.
	FluxNamespaces []string

	// MetricsAddress, HealthAddress, ArtifactAddress are where the agent listens; nothing or "0" for not at all. ProfileAddress is for
	// Go's profiles, which tell a lot: loopback is meant.
	MetricsAddress, HealthAddress, ArtifactAddress, ProfileAddress string
	// ReceiverAddress is where webhooks are received; nothing or "0" for not at all, and then Receivers are left alone.
	ReceiverAddress string
	// Advertise is the base URL under which others reach ArtifactAddress.
	Advertise string

	// LeaderElect lets one of several replicas work, by a Lease in LeaseNamespace.
	LeaderElect    bool
	LeaseNamespace string
	// Slot is the place of this process among the two that an agent may have in a cluster. Empty: it has none, and has no part in
	// self-upgrade.
	Slot v1alpha1.AgentSlot
	// NoSelfUpgrade refuses self-upgrade.
	NoSelfUpgrade bool

	// InsecureRegistries may answer without TLS when packages are taken from them: for a lab.
	InsecureRegistries []string
	// Verify is whose signature packages must have whose Module says nothing. Nil: nobody's.
	Verify *pack.Verification
	// TrustedRoot is who vouches for identities that Modules name: sigstore's trusted_root.json. Empty: nobody.
	TrustedRoot []byte
	// AllowFile serves file:// URLs of Git repositories: for a lab, never for a shared cluster.
	AllowFile bool

	Kustomizations delivery.KustomizationOptions
	// Sources are bounds of sources. What the agent itself provides in them is set by Run.
	Sources sources.Options
	Log     logr.Logger
	// Metrics is where metrics are registered while the agent runs. Default: what MetricsAddress serves.
	Metrics prometheus.Registerer
	// Traces has traces sent over OTLP/HTTP, to OTLPEndpoint (such as http://collector:4318) or, where that is empty, to where
	// OpenTelemetry's environment variables say.
	Traces       bool
	OTLPEndpoint string

	moduleMetrics *attempt.Metrics
	driver        *upgrade.Driver // of self-upgrade; nil: this process has no part in it
}

// fieldManager is the one that Flux's kustomize-controller applies with: with the same name an object changes hands without one field
// being orphaned.
const fieldManager = "kustomize-controller"

// cacheSyncTimeout bounds the first read of the kinds the agent serves.
const cacheSyncTimeout = time.Minute

// userAgent is what the API server's audit log calls the agent.
const userAgent = "slipway-agent"

// nowhere is the address of what does not listen.
const nowhere = "0"

// Run runs the agent until ctx ends, or until it has handed its work over to the other slot: whoever started it starts it again, and it
// stands by. An agent that ends because it was told to has not failed, even where it had not begun yet.
func Run(ctx context.Context, cfg *rest.Config, opts Options) error {
	if err := run(ctx, cfg, opts); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func run(ctx context.Context, cfg *rest.Config, opts Options) error {
	opts.Log = discreet(opts.Log)
	tel, stopTraces, err := opts.telemetry(ctx)
	if err != nil {
		return err
	}
	defer stopTraces()
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, -1 // the API server's priority and fairness governs
	cfg.UserAgent = userAgent
	cfg.WarningHandler = rest.NoWarnings{} // the API server warns of the finalizer's name, which is Flux's
	cfg.Wrap(tel.Transport)
	seat, err := opts.takeSeat(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seat.leave = stop
	defer seat.drive(ctx)()
	cfg.Wrap(seat.fence.Wrap)
	mgr, err := newManager(cfg, seat, opts)
	if err != nil {
		return err
	}
	if err := reached(ctx, opts.Log, func() error { return installed(mgr.GetRESTMapper(), opts) }); err != nil {
		return err
	}
	shown, err := opts.show(tel)
	if err != nil {
		return err
	}
	defer shown()
	var hide func()
	if opts.moduleMetrics, hide, err = opts.showModules(); err != nil {
		return err
	}
	defer hide()
	opts.driver = seat.driver
	if err := setUp(ctx, mgr, cfg, tel, opts); err != nil {
		return err
	}
	seat.works(mgr)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the agent: %w", err)
	}
	return nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(clientgoscheme.AddToScheme(scheme), sourcev1.AddToScheme(scheme), kustomizev1.AddToScheme(scheme), notificationv1.AddToScheme(scheme),
		v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme))
	if err != nil {
		return nil, fmt.Errorf("register the kinds: %w", err)
	}
	return scheme, nil
}

func newManager(cfg *rest.Config, seat *seat, opts Options) (manager.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Scheme: scheme,
		Logger: opts.Log,
		Cache:  cacheOptions(opts),
		Metrics: server.Options{
			BindAddress: cmp.Or(opts.MetricsAddress, nowhere),
		},
		HealthProbeBindAddress:              cmp.Or(opts.HealthAddress, nowhere),
		PprofBindAddress:                    cmp.Or(opts.ProfileAddress, nowhere),
		LeaderElection:                      opts.LeaderElect,
		LeaderElectionResourceLockInterface: seat.lock,
		LeaderElectionID:                    Names().Agent, // the metric has it as name
		LeaderElectionReleaseOnCancel:       true,
		RenewDeadline:                       new(renewDeadline),
		Controller:                          config.Controller{CacheSyncTimeout: cacheSyncTimeout, SkipNameValidation: new(true)},
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	err = errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping))
	if err != nil {
		return nil, fmt.Errorf("add probes: %w", err)
	}
	return mgr, nil
}

func cacheOptions(opts Options) cache.Options {
	out := cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ReaderFailOnMissingInformer: true}
	if opts.Selector != nil {
		out.DefaultLabelSelector = opts.Selector
	}
	for _, ns := range opts.Namespaces {
		if out.DefaultNamespaces == nil {
			out.DefaultNamespaces = map[string]cache.Config{}
		}
		out.DefaultNamespaces[ns] = cache.Config{}
	}
	return out
}

// setUp builds the layers from the ground up and registers what runs.
func setUp(ctx context.Context, mgr manager.Manager, cfg *rest.Config, tel *telemetry.Telemetry, opts Options) error {
	clients, err := kube.NewClients(cfg)
	if err != nil {
		return err
	}
	store, err := source.NewStore(filepath.Join(opts.DataDir, "store"))
	if err != nil {
		return fmt.Errorf("open the store in %s: %w", opts.DataDir, err)
	}
	tel.Observe(storeOf(store))
	core, err := typedcorev1.NewForConfig(mgr.GetConfig())
	if err != nil {
		return fmt.Errorf("prepare events: %w", err)
	}
	kustomizeEvents := kube.NewRecorder(core, mgr.GetScheme(), "kustomize-controller")
	sourceEvents := kube.NewRecorder(core, mgr.GetScheme(), "source-controller")
	gate, err := standAside(mgr, opts)
	if err != nil {
		return err
	}
	opts.Kustomizations.Aside = gate
	registry := interpret.NewRegistry(interpreters.All()...)
	layers := layersWith(registry)
	engine, pool := layers(clients, nil)
	var kustomizations *delivery.KustomizationReconciler
	sourceOpts := opts.Sources
	sourceOpts.Telemetry, sourceOpts.Store, sourceOpts.Events, sourceOpts.Advertise = tel, store, sourceEvents, opts.Advertise
	sourceOpts.Stored = func(ctx context.Context, kind string, key types.NamespacedName) {
		kustomizations.SourceStored(ctx, kind, key)
	}
	sourceOpts.Aside = gate
	fetchers := sources.SetUp(ctx, mgr, sourceOpts)
	kustomizations, err = delivery.SetupKustomization(ctx, mgr, delivery.Parts{
		Clients: clients, Events: kustomizeEvents, Store: store, Sources: fetchers, Builder: build.New(), Engine: engine, Pool: pool, Open: layers, Assess: registry.Assess, Telemetry: tel,
	}, opts.Kustomizations)
	if err != nil {
		return err
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
				return kustomizations.Follow(kind)
			},
			came: func(ctx context.Context) { kustomizations.SourceKindServed(ctx, kind.Name()) },
		}
	}
	ownEvents := kube.NewRecorder(core, mgr.GetScheme(), userAgent)
	mods := &modules{mgr: mgr, clients: clients, registry: registry, events: ownEvents, opts: opts}
	kinds := &kinds{mapper: mgr.GetRESTMapper(), log: mgr.GetLogger()}
	mods.builtin = builtin.Parts{Capabilities: map[string]builtin.Capability{v1alpha1.BuiltinDelivery: delivering(kinds, gate)}}
	if err := kinds.offer(
		ctx,
		append([]served{
			taught(mgr, registry, ownEvents),
			fetched(sources.GitRepositories(git, store, mgr.GetClient(), reader, limits)),
			fetched(sources.OCIRepositories(registries, reader, limits)),
			fetched(sources.Buckets(s3, reader, limits)),
			fetched(sources.ExternalArtifacts(archives, limits)),
		}, mods.kind()...)...,
	); err != nil {
		return err
	}
	if err := setUpReceivers(ctx, mgr, clients, core, fetchers, opts); err != nil {
		return err
	}
	definitions := func(ctx context.Context) error {
		return clients.WatchDefinitions(ctx, func(name string) {
			kustomizations.KindsChanged(name)
			kinds.changed(name)
		})
	}
	for _, r := range []manager.Runnable{leading(definitions), leading(kinds.run), leading(kustomizeEvents.Start), leading(sourceEvents.Start), leading(ownEvents.Start), everywhere(closing(mods.close, kustomizations.Wait, pool.Close, fetchers.Wait, git.Close, registries.Close, archives.Close, s3.Close)), artifacts(opts.ArtifactAddress, store)} {
		if err := mgr.Add(r); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	return nil
}

func gitOptions(opts Options) []source.GitOption {
	if opts.AllowFile {
		return []source.GitOption{source.AllowFile()}
	}
	return nil
}

// layersWith makes what makes what applies to a cluster, with objects judged by what the registry has; of them may be remembered what the
// allowance allows; nil: everything.
func layersWith(registry *interpret.Registry) func(*kube.Clients, *kube.Allowance) (*apply.Engine, *observe.Pool) {
	return func(clients *kube.Clients, allowance *kube.Allowance) (*apply.Engine, *observe.Pool) {
		pool := observe.New(clients, observe.Options{Manager: fieldManager, Assess: assess(registry), NeedsBody: registry.NeedsBody, Rules: rules(registry), Allowance: allowance})
		return apply.New(clients, pool, apply.Settings{}), pool
	}
}

// rules tells the pool, which knows no package beside it, of interpreters that come, change and go.
func rules(registry *interpret.Registry) func(func(func(schema.GroupVersionKind) bool)) (stop func()) {
	return func(changed func(func(schema.GroupVersionKind) bool)) (stop func()) {
		return registry.Watch(func(ofKind interpret.Changed) { changed(ofKind) })
	}
}

// assess judges an object for the pool, which knows no package beside it.
func assess(registry *interpret.Registry) func(*unstructured.Unstructured) observe.Verdict {
	return func(obj *unstructured.Unstructured) observe.Verdict {
		v := registry.Assess(obj)
		return observe.Verdict{State: string(v.State), Reason: v.Reason, Message: v.Message}
	}
}
