package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlbuilder "sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
)

// sourceManager is the field manager under which Flux's tools expect the status of a source to be written.
const sourceManager = client.FieldOwner("gotk-source-controller")

const (
	// defaultFetchTimeout bounds a fetch where the spec says nothing.
	defaultFetchTimeout = time.Minute
	// maxFetchTimeout bounds it whatever the spec says.
	maxFetchTimeout = 10 * time.Minute
)

// fetcher brings what a Git server has into the store.
type fetcher interface {
	Fetch(ctx context.Context, req source.GitRequest, previous string) (*source.Snapshot, error)
}

// retainer frees what no source needs any more.
type retainer interface {
	Retain(digests ...string) error
}

// GitRepositoryOptions are the agent's flags that concern GitRepositories.
type GitRepositoryOptions struct {
	// Advertise is the base of the URLs under which artifacts can be downloaded, such as http://slipway-agent.slipway-system.svc.
	Advertise string
	// PerNamespace is how many repositories of one namespace are fetched at once. Default: 8.
	PerNamespace int
	// Limits bound what one repository may cost.
	Limits source.Limits
	// Stored is told of each artifact that came into the store, so that what waits for it goes on.
	Stored func(ctx context.Context, kind string, key types.NamespacedName)
	// Clock is the time; tests set it.
	Clock clock.PassiveClock
}

// GitRepositoryReconciler keeps the store at what Git servers have.
type GitRepositoryReconciler struct {
	client    client.Client
	reader    client.Reader
	events    *kube.Recorder
	git       fetcher
	snapshots snapshots
	store     retainer
	polls     *polls
	flights   *flights
	queue     *wakeQueue
	opts      GitRepositoryOptions
}

// Wait returns when no fetch is under way any more, after the context of SetupGitRepository has ended.
func (r *GitRepositoryReconciler) Wait() { r.flights.wait() }

// SetupGitRepository registers the reconciler of GitRepositories with mgr. Fetches end with the context.
func SetupGitRepository(ctx context.Context, mgr ctrl.Manager, git *source.Git, store *source.Store, events *kube.Recorder, opts GitRepositoryOptions) (*GitRepositoryReconciler, error) {
	if opts.PerNamespace == 0 {
		opts.PerNamespace = 8
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	r := &GitRepositoryReconciler{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), events: events, git: git, snapshots: store, store: store, polls: newPolls(),
		flights: newFlights(ctx, opts.PerNamespace), queue: &wakeQueue{}, opts: opts,
	}
	err := ctrl.NewControllerManagedBy(mgr).
		For(&sourcev1.GitRepository{}, ctrlbuilder.WithPredicates(specOrRequest())).
		WatchesRawSource(r.queue.source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: sourceWorkers}).
		Complete(r)
	if err != nil {
		return nil, fmt.Errorf("set up the GitRepository controller: %w", err)
	}
	return r, nil
}

// sourceWorkers is how many GitRepositories are looked at at once. None of them waits for a Git server.
const sourceWorkers = 4

// Reconcile fetches one repository if its time has come, and writes its status if that changed.
func (r *GitRepositoryReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.GitRepository{}
	if err := r.client.Get(ctx, req.NamespacedName, obj); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.polls.forget(req.NamespacedName)
			r.flights.take(req.NamespacedName)
			return ctrl.Result{}, r.collect(ctx)
		}
		return ctrl.Result{}, err
	}
	f := &fetch{GitRepositoryReconciler: r, obj: obj.DeepCopy(), before: obj, poll: r.polls.of(req.NamespacedName), started: r.opts.Clock.Now(), log: ctrl.LoggerFrom(ctx)}
	if !obj.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, f.release(ctx)
	}
	return f.step(ctx)
}

// collect frees what no GitRepository has as its artifact.
func (r *GitRepositoryReconciler) collect(ctx context.Context) error {
	var all sourcev1.GitRepositoryList
	if err := r.client.List(ctx, &all); err != nil {
		return fmt.Errorf("list GitRepositories: %w", err)
	}
	keep := r.polls.digests()
	for i := range all.Items {
		if artifact := all.Items[i].GetArtifact(); artifact != nil {
			keep = append(keep, artifact.Digest)
		}
	}
	if err := r.store.Retain(keep...); err != nil {
		return fmt.Errorf("free what no source needs: %w", err)
	}
	return nil
}

// fetch is one reconcile of one GitRepository.
type fetch struct {
	*GitRepositoryReconciler
	log     logr.Logger
	obj     *sourcev1.GitRepository
	before  *sourcev1.GitRepository
	poll    *poll
	started time.Time
	token   string // of the request that this reconcile answers
}

// release lets a repository go that Flux left a finalizer on.
func (f *fetch) release(ctx context.Context) error {
	f.polls.forget(f.key())
	if !controllerutil.RemoveFinalizer(f.obj, sourcev1.SourceFinalizer) {
		return nil
	}
	if err := f.client.Patch(ctx, f.obj, client.MergeFrom(f.before), sourceManager); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove finalizer: %w", err)
	}
	return nil
}

func (f *fetch) key() types.NamespacedName { return client.ObjectKeyFromObject(f.obj) }

func (f *fetch) step(ctx context.Context) (ctrl.Result, error) {
	if f.obj.Spec.Suspend {
		return ctrl.Result{}, f.restore(ctx)
	}
	if err := source.Unsupported(f.obj.Spec); err != nil {
		f.token, _ = meta.ReconcileAnnotationValue(f.obj.GetAnnotations())
		return ctrl.Result{}, f.stall(ctx, reasonUnsupported, err)
	}
	if f.flights.busy(f.key()) {
		return ctrl.Result{}, nil // its end wakes us
	}
	token, asked := meta.ReconcileAnnotationValue(f.obj.GetAnnotations())
	if landed := f.flights.take(f.key()); landed != nil && landed.generation == f.obj.Generation {
		f.token = landed.token
		result, err := f.settle(ctx, landed)
		if err != nil {
			f.poll.next = time.Time{} // what was fetched is not recorded: fetch again
			return ctrl.Result{}, err
		}
		if asked && token != landed.token { // asked again meanwhile
			f.begin(token)
			return ctrl.Result{}, nil
		}
		return result, nil
	}
	asked = asked && token != f.obj.Status.LastHandledReconcileAt
	if wait := f.poll.next.Sub(f.started); wait > 0 && f.poll.generation == f.obj.Generation && !asked {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	f.begin(token)
	return ctrl.Result{}, nil
}
