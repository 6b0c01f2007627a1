package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/source"
)

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
