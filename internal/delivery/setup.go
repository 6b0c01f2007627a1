package delivery

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlbuilder "sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/delivery/sources"
	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// Parts are the layers below that the Kustomization reconciler ties together.
type Parts struct {
	Clients *kube.Clients
	Events  *kube.Recorder
	Store   *source.Store
	Sources *sources.Sources
	Builder *build.Builder
	Engine  *apply.Engine
	Pool    *observe.Pool
	// Open makes what applies to one more cluster.
	Open OpenFunc
	// Assess judges an object that is read by itself, as the pool judges those that it watches. Nil: health.Assess.
	Assess func(*unstructured.Unstructured) health.Verdict
	// Telemetry counts and traces what is done. Nil: nothing does.
	Telemetry *telemetry.Telemetry
}

const (
	defaultSweep      = 6 * time.Hour
	defaultConcurrent = 8
)

// SetupKustomization registers the reconciler of Kustomizations with mgr.
func SetupKustomization(ctx context.Context, mgr ctrl.Manager, parts Parts, opts KustomizationOptions) (*KustomizationReconciler, error) {
	if opts.Sweep == 0 {
		opts.Sweep = defaultSweep
	}
	if opts.RecordWithin == 0 {
		opts.RecordWithin = defaultRecordWithin
	}
	if opts.Concurrent == 0 {
		opts.Concurrent = defaultConcurrent
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	r := &KustomizationReconciler{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), events: parts.Events,
		snapshots: parts.Store, sources: parts.Sources, cache: mgr.GetCache(), builder: parts.Builder,
		local:  &target{clients: parts.Clients, applier: parts.Engine, watcher: parts.Pool},
		memory: newMemory(), queue: &wake.Queue{}, assess: parts.Assess, telemetry: parts.Telemetry, opts: opts,
	}
	r.seats = newSeats(opts.Concurrent, func(keys ...types.NamespacedName) { r.wake(telemetry.Remote, keys...) })
	r.remotes = &remotes{
		reader: r.reader, open: parts.Open, telemetry: parts.Telemetry, observed: r.observed, kinds: r.KindsChanged, wake: r.wake,
		clock: opts.Clock, read: map[kubeconfigRef]reading{}, at: map[place]*remote{},
	}
	for index, fn := range map[string]client.IndexerFunc{bySource: indexSource, byDependency: indexDependencies} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &kustomizev1.Kustomization{}, index, fn); err != nil {
			return nil, fmt.Errorf("index Kustomizations by %s: %w", index, err)
		}
	}
	parts.Pool.Subscribe(r.observed)
	tel, kind := parts.Telemetry, kustomizev1.KustomizationKind
	tel.Observe(r.resources, r.remotes.facts, watchesOf(parts.Pool))
	var err error
	r.controller, err = ctrl.NewControllerManagedBy(mgr).
		For(&kustomizev1.Kustomization{}, ctrlbuilder.WithPredicates(tel.Passing(kind, wake.SpecOrRequest()))).
		Watches(&kustomizev1.Kustomization{}, r.dependencyHandler()).
		WatchesRawSource(r.queue.Source()).
		WatchesRawSource(opts.Aside.Source(mgr.GetClient(), &kustomizev1.KustomizationList{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: opts.Concurrent, RateLimiter: wake.Retries()}).
		Build(tel.Reconciler(kind, opts.Aside.Reconciler(r)))
	if err != nil {
		return nil, fmt.Errorf("set up the Kustomization controller: %w", err)
	}
	return r, nil
}

// Follow wakes Kustomizations when the artifact of a source of a kind moves, from now on. The cluster must know the kind.
func (r *KustomizationReconciler) Follow(kind sources.Kind) error {
	var obj client.Object = kind.New()
	changed := func(ctx context.Context, obj client.Object) []reconcile.Request {
		return r.bySource(ctx, kind.Name(), client.ObjectKeyFromObject(obj))
	}
	if err := r.controller.Watch(ctrlsource.Kind(r.cache, obj, handler.EnqueueRequestsFromMapFunc(r.telemetry.Waking(kustomizev1.KustomizationKind, telemetry.Source, changed)), wake.ArtifactMoved())); err != nil {
		return fmt.Errorf("watch %ss for Kustomizations: %w", kind.Name(), err)
	}
	return nil
}
