package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
)

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
	report(f.log, warning, reason, message, details)
	f.events.Event(f.obj, details, warning, reason, message)
}
