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

// defaultFetchTimeout bounds a fetch where the spec says nothing.
const defaultFetchTimeout = time.Minute

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
	// Concurrent is how many repositories are fetched at once. Default: 4.
	Concurrent int
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
	opts      GitRepositoryOptions
}

// SetupGitRepository registers the reconciler of GitRepositories with mgr.
func SetupGitRepository(mgr ctrl.Manager, git *source.Git, store *source.Store, events *kube.Recorder, opts GitRepositoryOptions) error {
	if opts.Concurrent == 0 {
		opts.Concurrent = 4
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	r := &GitRepositoryReconciler{
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), events: events, git: git, snapshots: store, store: store, polls: newPolls(), opts: opts,
	}
	err := ctrl.NewControllerManagedBy(mgr).
		For(&sourcev1.GitRepository{}, ctrlbuilder.WithPredicates(specOrRequest())).
		WithOptions(controller.Options{MaxConcurrentReconciles: opts.Concurrent}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the GitRepository controller: %w", err)
	}
	return nil
}

// Reconcile fetches one repository if its time has come, and writes its status if that changed.
func (r *GitRepositoryReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &sourcev1.GitRepository{}
	if err := r.client.Get(ctx, req.NamespacedName, obj); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.polls.forget(req.NamespacedName)
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
		return ctrl.Result{}, f.stall(ctx, reasonUnsupported, err)
	}
	token, asked := meta.ReconcileAnnotationValue(f.obj.GetAnnotations())
	asked = asked && token != f.obj.Status.LastHandledReconcileAt
	if wait := f.poll.next.Sub(f.started); wait > 0 && f.poll.generation == f.obj.Generation && !asked {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	snapshot, err := f.fetch(ctx, f.obj.Spec.Reference)
	f.poll.generation, f.poll.next = f.obj.Generation, f.started.Add(spread(f.obj.Spec.Interval.Duration))
	var typed *source.Error
	switch {
	case errors.As(err, &typed) && typed.Permanent():
		return ctrl.Result{}, f.stall(ctx, typed.Reason, err)
	case err != nil:
		return f.fail(ctx, err)
	}
	if err := f.succeed(ctx, snapshot); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: max(f.poll.next.Sub(f.opts.Clock.Now()), time.Millisecond)}, nil
}

// fetch asks the Git server for ref. The Secret is read anew each time, so that a rotated credential works at once.
func (f *fetch) fetch(ctx context.Context, ref *sourcev1.GitRepositoryRef) (*source.Snapshot, error) {
	timeout := defaultFetchTimeout
	if f.obj.Spec.Timeout != nil {
		timeout = f.obj.Spec.Timeout.Duration
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
	artifact := f.obj.GetArtifact()
	if artifact == nil {
		return nil
	}
	if _, ok := f.snapshots.Get(artifact.Digest); ok {
		return nil
	}
	_, commit, _ := strings.Cut(artifact.Revision, "sha1:")
	ref := f.obj.Spec.Reference.DeepCopy()
	if ref == nil {
		ref = &sourcev1.GitRepositoryRef{}
	}
	snapshot, err := f.fetch(ctx, &sourcev1.GitRepositoryRef{Branch: ref.Branch, Commit: commit})
	if err != nil {
		return fmt.Errorf("fetch revision %s of the suspended repository again: %w", artifact.Revision, err)
	}
	f.stored(ctx, snapshot)
	return nil
}

// stored notes that snapshot is in the store and tells who waits for it.
func (f *fetch) stored(ctx context.Context, snapshot *source.Snapshot) {
	if f.polls.keep(f.key(), snapshot.Digest()) && f.opts.Stored != nil {
		f.opts.Stored(ctx, sourcev1.GitRepositoryKind, f.key())
	}
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
	pause := min(f.obj.Spec.Interval.Duration, backoff(f.poll.failures))
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
	if token, ok := meta.ReconcileAnnotationValue(f.obj.GetAnnotations()); ok {
		f.obj.Status.LastHandledReconcileAt = token
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
