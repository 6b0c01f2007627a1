package sources

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// Stored is told of each artifact that came into the store, so that what waits for it goes on.
	Stored func(ctx context.Context, kind string, key types.NamespacedName)
	// Telemetry counts and traces what is done. Nil: nothing does.
	Telemetry *telemetry.Telemetry
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
	client client.Client
	reader client.Reader // asks the API server, for what isn't watched
	events *kube.Recorder
	store  store
	gates  *gates
	kinds  []Kind
	opts   Options
}

// SetUp registers a reconciler for each kind with mgr. Fetches end with the context.
func SetUp(ctx context.Context, mgr ctrl.Manager, opts Options, kinds ...Kind) (*Sources, error) {
	if opts.PerNamespace == 0 {
		opts.PerNamespace = 8
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	s := &shared{
		ctx: ctx, client: mgr.GetClient(), reader: mgr.GetAPIReader(), events: opts.Events, store: opts.Store,
		gates: newGates(opts.PerNamespace), kinds: kinds, opts: opts,
	}
	for _, k := range kinds {
		if err := k.setUp(mgr, s); err != nil {
			return nil, err
		}
	}
	return &Sources{shared: s}, nil
}

// Wait returns when no fetch is under way any more, after the context of SetUp has ended.
func (s *Sources) Wait() { s.shared.gates.wait() }

// Hurry has a source fetched at once, whatever its interval, as when its server told of a push. It is false, and nothing happens, where
// no source of that kind and name is served here.
func (s *Sources) Hurry(ctx context.Context, kind string, key types.NamespacedName) bool {
	for _, k := range s.shared.kinds {
		if k.Name() == kind {
			return k.hurry(ctx, key)
		}
	}
	return false
}

// collect frees what no source of any kind has as its artifact.
func (s *shared) collect(ctx context.Context) error {
	var keep []string
	for _, k := range s.kinds {
		digests, err := k.artifacts(ctx)
		if err != nil {
			return err
		}
		keep = append(keep, digests...)
	}
	if err := s.store.Retain(keep...); err != nil {
		return fmt.Errorf("free what no source needs: %w", err)
	}
	return nil
}
