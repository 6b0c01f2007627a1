package sources

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/delivery/aside"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// store keeps what was fetched.
type store interface {
	Get(digest string) (*source.Snapshot, bool)
	// Retain frees what no source needs any more.
	Retain(digests ...string) error
}

// Options are what the reconcilers of all kinds share, in part flags of the agent.
type Options struct {
	// Store is where everything is fetched to.
	Store *source.Store
	// Events is where what happens to sources is recorded.
	Events *kube.Recorder
	// Advertise is the base of the URLs under which artifacts can be downloaded, such as http://slipway-agent.slipway-system.svc.
	Advertise string
	// PerNamespace is how many sources of one namespace are fetched at once. Default: 8.
	PerNamespace int
	// Limits bound what one source may cost.
	Limits source.Limits
	// Stored is told of each artifact that came into the store, so that what waits for it goes on, and of each new Problem.
	Stored func(ctx context.Context, kind string, key types.NamespacedName)
	// Telemetry counts and traces what is done. Nil: nothing does.
	Telemetry *telemetry.Telemetry
	// Aside keeps sources alone while Flux works on them. Nil: it never does.
	Aside *aside.Gate
	// Clock is the time; tests set it.
	Clock clock.PassiveClock
}

// Sources are the reconcilers of all kinds that are served.
type Sources struct {
	shared *shared
}

// shared is what the reconcilers of all kinds have in common.
type shared struct {
	ctx    context.Context //nolint:containedctx // the life of the agent, which fetches end with
	mgr    ctrl.Manager
	client client.Client
	reader client.Reader // asks the API server, for what isn't watched
	events *kube.Recorder
	store  store
	gates  *gates
	opts   Options

	collector collector

	mu    sync.Mutex
	kinds []Kind // those that are served
}

// SetUp prepares the reconcilers of sources; Serve adds each kind to mgr. Fetches end with the context.
func SetUp(ctx context.Context, mgr ctrl.Manager, opts Options) *Sources {
	if opts.PerNamespace == 0 {
		opts.PerNamespace = 8
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	s := &shared{
		ctx: ctx, mgr: mgr, client: mgr.GetClient(), reader: mgr.GetAPIReader(), events: opts.Events, store: opts.Store,
		gates: newGates(opts.PerNamespace), opts: opts,
	}
	s.collector.ctx, s.collector.free = ctx, s.free
	return &Sources{shared: s}
}

// Serve registers the reconciler of a kind that the cluster knows, before or after mgr was started.
func (s *Sources) Serve(kind Kind) error {
	if err := kind.setUp(s.shared); err != nil {
		return err
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	s.shared.kinds = append(s.shared.kinds, kind)
	return nil
}

// Wait returns when no fetch and no collection is under way any more, after the context of SetUp has ended.
func (s *Sources) Wait() {
	s.shared.gates.wait()
	s.shared.collector.end()
}

// New returns an empty object of a kind; false if the kind isn't served.
func (s *Sources) New(kind string) (Object, bool) {
	if k := s.shared.kind(kind); k != nil {
		return k.New(), true
	}
	return nil, false
}

// Hurry has a source fetched at once, whatever its interval, as when its server told of a push. It is false, and nothing happens, where
// no source of that kind and name is served here.
func (s *Sources) Hurry(ctx context.Context, kind string, key types.NamespacedName) bool {
	k := s.shared.kind(kind)
	return k != nil && k.hurry(ctx, key)
}

// Look has a source looked at, as when the store turns out to have lost its artifact.
func (s *Sources) Look(kind string, key types.NamespacedName) {
	if k := s.shared.kind(kind); k != nil {
		k.look(key)
	}
}

// Problem says why the artifact of a source can't be had, where its own status can't say so because it belongs to another controller.
// It is empty where there is no problem. Options.Stored is called when there is a new one.
func (s *Sources) Problem(kind string, key types.NamespacedName) string {
	if k := s.shared.kind(kind); k != nil {
		return k.problem(key)
	}
	return ""
}

func (s *shared) served() []Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[:len(s.kinds):len(s.kinds)]
}

func (s *shared) kind(name string) Kind {
	for _, k := range s.served() {
		if k.Name() == name {
			return k
		}
	}
	return nil
}
