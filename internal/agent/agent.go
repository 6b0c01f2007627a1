package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	notificationv1 "github.com/fluxcd/notification-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/agent/upgrade"
	"github.com/slipway-dev/slipway/internal/delivery"
	"github.com/slipway-dev/slipway/internal/delivery/sources"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/pack"
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
	// Serve is the one part of Slipway that this process serves: v1alpha1.BuiltinDelivery. It elects by a Lease of that part, and needs
	// LeaderElect. Empty: this is the agent, which serves everything that no such process asks to serve.
	Serve string
	// TakeBack is for how long nobody else may serve a part, before the agent takes it back. Default: 30s.
	TakeBack time.Duration
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
	shown, err := opts.show(tel)
	if err != nil {
		return err
	}
	defer shown()
	if opts.Serve != "" {
		return runPart(ctx, cfg, tel, opts)
	}
	return runAgent(ctx, cfg, tel, opts)
}

// runAgent runs the agent. Delivery is a wing of it, which it may leave to others, where agents elect one of them.
func runAgent(ctx context.Context, cfg *rest.Config, tel *telemetry.Telemetry, opts Options) error {
	seat, err := opts.takeSeat(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seat.leave = stop
	defer seat.drive(ctx)()
	cfg.Wrap(seat.fence.Wrap)
	mgr, err := newManager(cfg, managing{lock: seat.lock, id: Names().Agent, listens: true}, opts)
	if err != nil {
		return err
	}
	if err := reached(ctx, opts.Log, func() error { return installed(mgr.GetRESTMapper(), opts) }); err != nil {
		return err
	}
	if err := reached(ctx, opts.Log, func() error { return seat.keepOthersOut(ctx, opts) }); err != nil {
		return err
	}
	var hide func()
	if opts.moduleMetrics, hide, err = opts.showModules(); err != nil {
		return err
	}
	defer hide()
	opts.driver = seat.driver
	g, err := newGround(cfg, tel, opts)
	if err != nil {
		return err
	}
	post, err := seat.post(opts)
	if err != nil {
		return err
	}
	w := &wing{ground: g, post: post, mapper: mgr.GetRESTMapper()}
	mods, kinds, err := setUpModules(ctx, mgr, g, w)
	if err != nil {
		return err
	}
	if err := w.join(ctx, mgr); err != nil {
		return err
	}
	definitions := func(ctx context.Context) error {
		return g.clients.WatchDefinitions(ctx, func(name string) {
			w.definitionChanged(name)
			kinds.changed(name)
		})
	}
	for _, r := range []manager.Runnable{leading(definitions), leading(kinds.run), leading(g.events.Start), everywhere(closing(mods.close))} {
		if err := mgr.Add(r); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	seat.works(mgr, w)
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

// managing says how a manager differs from others.
type managing struct {
	lock    resourcelock.Interface
	id      string             // of the lock, in the metric of elections
	listens bool               // for metrics, probes and profiles
	mapper  apimeta.RESTMapper // that of another manager; nil: its own
}

func newManager(cfg *rest.Config, how managing, opts Options) (manager.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	out := manager.Options{
		Scheme:                              scheme,
		Logger:                              opts.Log,
		Cache:                               cacheOptions(opts),
		Metrics:                             server.Options{BindAddress: nowhere},
		HealthProbeBindAddress:              nowhere,
		PprofBindAddress:                    nowhere,
		LeaderElection:                      opts.LeaderElect,
		LeaderElectionResourceLockInterface: how.lock,
		LeaderElectionID:                    how.id,
		LeaderElectionReleaseOnCancel:       true,
		RenewDeadline:                       new(renewDeadline),
		Controller:                          config.Controller{CacheSyncTimeout: cacheSyncTimeout, SkipNameValidation: new(true)},
	}
	if how.listens {
		out.Metrics.BindAddress = cmp.Or(opts.MetricsAddress, nowhere)
		out.HealthProbeBindAddress, out.PprofBindAddress = cmp.Or(opts.HealthAddress, nowhere), cmp.Or(opts.ProfileAddress, nowhere)
	}
	if how.mapper != nil {
		out.MapperProvider = func(*rest.Config, *http.Client) (apimeta.RESTMapper, error) { return how.mapper, nil }
	}
	mgr, err := ctrl.NewManager(cfg, out)
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
