package delivery

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlbuilder "sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// Parts are the layers below that the Kustomization reconciler ties together.
type Parts struct {
	Clients *kube.Clients
	Events  *kube.Recorder
	Store   *source.Store
	Builder *build.Builder
	Engine  *apply.Engine
	Pool    *observe.Pool
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
	if opts.Concurrent == 0 {
		opts.Concurrent = defaultConcurrent
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	r := &KustomizationReconciler{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), events: parts.Events,
		snapshots: parts.Store, builder: parts.Builder, local: &target{clients: parts.Clients, applier: parts.Engine, watcher: parts.Pool},
		memory: newMemory(), queue: &wake.Queue{}, telemetry: parts.Telemetry, opts: opts,
	}
	for index, fn := range map[string]client.IndexerFunc{bySource: indexSource, byDependency: indexDependencies} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &kustomizev1.Kustomization{}, index, fn); err != nil {
			return nil, fmt.Errorf("index Kustomizations by %s: %w", index, err)
		}
	}
	parts.Pool.Subscribe(r.observed)
	tel, kind := parts.Telemetry, kustomizev1.KustomizationKind
	tel.Observe(r.resources, watchesOf(parts.Pool))
	err := ctrl.NewControllerManagedBy(mgr).
		For(&kustomizev1.Kustomization{}, ctrlbuilder.WithPredicates(tel.Passing(kind, wake.SpecOrRequest()))).
		Watches(&kustomizev1.Kustomization{}, r.dependencyHandler()).
		Watches(&sourcev1.GitRepository{}, handler.EnqueueRequestsFromMapFunc(tel.Waking(kind, telemetry.Source, r.sourceChanged)), ctrlbuilder.WithPredicates(wake.ArtifactMoved())).
		WatchesRawSource(r.queue.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: opts.Concurrent}).
		Complete(tel.Reconciler(kind, r))
	if err != nil {
		return nil, fmt.Errorf("set up the Kustomization controller: %w", err)
	}
	return r, nil
}
