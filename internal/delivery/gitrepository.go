package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	f := &fetch{GitRepositoryReconciler: r, obj: obj.DeepCopy(), before: obj, poll: r.polls.of(req.NamespacedName), started: r.opts.Clock.Now()}
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

// begin starts a fetch and lets the worker go.
func (f *fetch) begin(token string) {
	generation, key := f.obj.Generation, f.key()
	if known := f.polls.newest(key); known != "" {
		_, has := f.snapshots.Get(known)
		f.poll.lost = f.poll.lost || !has
	}
	f.flights.start(key, func(ctx context.Context) *landed {
		snapshot, err := f.fetch(ctx, f.obj.Spec.Reference)
		return &landed{generation: generation, token: token, snapshot: snapshot, err: err}
	}, func() { f.queue.wake(key) })
}

// settle records how a fetch ended.
func (f *fetch) settle(ctx context.Context, end *landed) (ctrl.Result, error) {
	f.poll.generation, f.poll.next = f.obj.Generation, f.started.Add(spread(interval(f.obj.Spec.Interval.Duration)))
	var typed *source.Error
	switch {
	case errors.As(end.err, &typed) && typed.Permanent():
		return ctrl.Result{}, f.stall(ctx, typed.Reason, end.err)
	case end.err != nil:
		return f.fail(ctx, end.err)
	}
	if err := f.succeed(ctx, end.snapshot); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(f.poll.next.Sub(f.opts.Clock.Now()), time.Millisecond)}, nil
}

// fetch asks the Git server for ref. The Secret is read anew each time, so that a rotated credential works at once.
func (f *fetch) fetch(ctx context.Context, ref *sourcev1.GitRepositoryRef) (*source.Snapshot, error) {
	timeout := defaultFetchTimeout
	if f.obj.Spec.Timeout != nil {
		timeout = min(f.obj.Spec.Timeout.Duration, maxFetchTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	auth, err := f.auth(ctx)
	if err != nil {
		return nil, err
	}
	previous := f.polls.newest(f.key())
	if artifact := f.obj.GetArtifact(); previous == "" && artifact != nil {
		previous = artifact.Digest
	}
	return f.git.Fetch(ctx, source.GitRequest{URL: f.obj.Spec.URL, Ref: ref, Ignore: f.obj.Spec.Ignore, Auth: auth, Limits: f.opts.Limits}, previous)
}

func (f *fetch) auth(ctx context.Context) (source.Auth, error) {
	ref := f.obj.Spec.SecretRef
	if ref == nil {
		return source.AuthFromSecret(nil, f.obj.Spec.URL)
	}
	var secret corev1.Secret
	if err := f.reader.Get(ctx, types.NamespacedName{Namespace: f.obj.Namespace, Name: ref.Name}, &secret); err != nil {
		if client.IgnoreNotFound(err) == nil {
			err = fmt.Errorf("secret '%s/%s' not found; create it, or correct spec.secretRef", f.obj.Namespace, ref.Name)
		}
		return source.Auth{}, &source.Error{Reason: sourcev1.AuthenticationFailedReason, Err: err}
	}
	return source.AuthFromSecret(secret.Data, f.obj.Spec.URL)
}

// restore brings back the artifact of a suspended repository that the store has lost: what was delivered stays deliverable.
func (f *fetch) restore(ctx context.Context) error {
	artifact, key := f.obj.GetArtifact(), f.key()
	if artifact == nil || f.flights.busy(key) {
		return nil
	}
	if end := f.flights.take(key); end != nil {
		if end.err != nil {
			return fmt.Errorf("fetch revision %s of the suspended repository again: %w", artifact.Revision, end.err)
		}
		f.stored(ctx, end.snapshot)
		return nil
	}
	if _, ok := f.snapshots.Get(artifact.Digest); ok {
		return nil
	}
	ref := &sourcev1.GitRepositoryRef{}
	if f.obj.Spec.Reference != nil {
		ref.Branch = f.obj.Spec.Reference.Branch
	}
	_, ref.Commit, _ = strings.Cut(artifact.Revision, "sha1:")
	f.flights.start(key, func(ctx context.Context) *landed {
		snapshot, err := f.fetch(ctx, ref)
		return &landed{snapshot: snapshot, err: err}
	}, func() { f.queue.wake(key) })
	return nil
}

// stored notes that snapshot is in the store and tells who waits for it.
func (f *fetch) stored(ctx context.Context, snapshot *source.Snapshot) {
	fresh := f.polls.keep(f.key(), snapshot.Digest())
	if (fresh || f.poll.lost) && f.opts.Stored != nil {
		f.opts.Stored(ctx, sourcev1.GitRepositoryKind, f.key())
	}
	f.poll.lost = false
}

func (f *fetch) succeed(ctx context.Context, snapshot *source.Snapshot) error {
	f.poll.failures = 0
	status, revision := &f.obj.Status, snapshot.Revision()
	moved := status.Artifact == nil || status.Artifact.Digest != snapshot.Digest() || status.Artifact.Revision != revision
	if moved {
		status.Artifact = f.artifact(snapshot)
	}
	message := fmt.Sprintf("stored artifact for revision '%s'", revision)
	f.condition(meta.ReadyCondition, metav1.ConditionTrue, meta.SucceededReason, message)
	f.condition(sourcev1.ArtifactInStorageCondition, metav1.ConditionTrue, meta.SucceededReason, message)
	for _, kind := range []string{meta.ReconcilingCondition, meta.StalledCondition, sourcev1.FetchFailedCondition} {
		apimeta.RemoveStatusCondition(&status.Conditions, kind)
	}
	status.ObservedGeneration, status.ObservedIgnore = f.obj.Generation, f.obj.Spec.Ignore
	if err := f.write(ctx); err != nil {
		return err
	}
	f.stored(ctx, snapshot)
	if !moved {
		return nil
	}
	f.event("NewArtifact", message, false)
	return f.collect(ctx)
}

// artifact describes snapshot in the form that every consumer of Flux's sources understands.
func (f *fetch) artifact(snapshot *source.Snapshot) *meta.Artifact {
	file := source.ArtifactPath(f.obj.Namespace, f.obj.Name, snapshot.Digest())
	size := snapshot.Size()
	return &meta.Artifact{
		Path: file, URL: strings.TrimSuffix(f.opts.Advertise, "/") + "/" + file,
		Revision: snapshot.Revision(), Digest: snapshot.Digest(), Size: &size,
		LastUpdateTime: metav1.NewTime(f.opts.Clock.Now()),
	}
}

// fail records why the fetch failed. The artifact stays, and with it all that was delivered from it.
func (f *fetch) fail(ctx context.Context, err error) (ctrl.Result, error) {
	reason := sourcev1.GitOperationFailedReason
	var typed *source.Error
	if errors.As(err, &typed) && typed.Reason != "" {
		reason = typed.Reason
	}
	message := err.Error()
	fresh := f.condition(sourcev1.FetchFailedCondition, metav1.ConditionTrue, reason, message)
	f.condition(meta.ReadyCondition, metav1.ConditionFalse, reason, message)
	f.condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason, "Trying again")
	apimeta.RemoveStatusCondition(&f.obj.Status.Conditions, meta.StalledCondition)
	if fresh {
		f.event(reason, message, true)
	}
	f.poll.failures++
	pause := min(interval(f.obj.Spec.Interval.Duration), backoff(f.poll.failures))
	f.poll.next = f.opts.Clock.Now().Add(spread(pause))
	if err := f.write(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(f.poll.next.Sub(f.opts.Clock.Now()), time.Millisecond)}, nil
}

// stall records that only a change of the spec helps.
func (f *fetch) stall(ctx context.Context, reason string, err error) error {
	fresh := f.condition(meta.ReadyCondition, metav1.ConditionFalse, reason, err.Error())
	apimeta.RemoveStatusCondition(&f.obj.Status.Conditions, sourcev1.FetchFailedCondition)
	f.condition(meta.StalledCondition, metav1.ConditionTrue, reason, err.Error())
	apimeta.RemoveStatusCondition(&f.obj.Status.Conditions, meta.ReconcilingCondition)
	f.obj.Status.ObservedGeneration = f.obj.Generation
	if fresh {
		f.event(reason, err.Error(), true)
	}
	return f.write(ctx)
}

func (f *fetch) condition(kind string, status metav1.ConditionStatus, reason, message string) (fresh bool) {
	return kube.SetCondition(&f.obj.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: f.obj.Generation,
	})
}

func (f *fetch) write(ctx context.Context) error {
	if f.token != "" {
		f.obj.Status.LastHandledReconcileAt = f.token
	}
	if err := kube.PatchStatus(ctx, f.client, f.before, f.obj, string(sourceManager)); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

func (f *fetch) event(reason, message string, warning bool) {
	details := map[string]string{}
	if artifact := f.obj.GetArtifact(); artifact != nil {
		details["revision"], details["digest"] = artifact.Revision, artifact.Digest
	}
	f.events.Event(f.obj, details, warning, reason, message)
}
