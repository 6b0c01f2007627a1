package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/delivery/wake"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/source"
)

func (t *task[T]) succeed(ctx context.Context, got fetched[T]) error {
	t.poll.failures = 0
	snapshot, old := got.snapshot, *t.artifact
	moved := old == nil || old.Digest != snapshot.Digest() || old.Revision != snapshot.Revision()
	if moved {
		*t.artifact = t.describe(got)
	}
	t.readdress()
	message := fmt.Sprintf("stored artifact for revision '%s'", snapshot.Revision())
	t.condition(meta.ReadyCondition, metav1.ConditionTrue, meta.SucceededReason, message)
	t.condition(sourcev1.ArtifactInStorageCondition, metav1.ConditionTrue, meta.SucceededReason, message)
	t.remove(meta.ReconcilingCondition, meta.StalledCondition, sourcev1.FetchFailedCondition, sourcev1.StorageOperationFailedCondition)
	t.own(got.conditions)
	for _, kind := range t.driver.traits().conditions {
		if !slices.ContainsFunc(got.conditions, func(c metav1.Condition) bool { return c.Type == kind }) {
			t.remove(kind)
		}
	}
	*t.observedGeneration = t.obj.GetGeneration()
	if got.observe != nil {
		got.observe(t.obj)
	}
	if err := t.write(ctx); err != nil {
		return err
	}
	t.stored(ctx, snapshot)
	if !moved {
		return nil
	}
	t.event("NewArtifact", message, false)
	t.collector.soon()
	return nil
}

// readdress has the status say where this replica serves the artifact, if it has it: the one that led before may be gone.
func (t *task[T]) readdress() {
	artifact := *t.artifact
	if artifact == nil || t.missing() {
		return
	}
	artifact.Path, artifact.URL = t.address(artifact.Digest)
}

// address is where this replica serves a digest as the artifact of the source: the path below Options.Advertise, and the whole URL.
func (t *task[T]) address(digest string) (file, url string) {
	file = source.ArtifactPath(t.kind, t.obj.GetNamespace(), t.obj.GetName(), digest)
	return file, strings.TrimSuffix(t.opts.Advertise, "/") + "/" + file
}

// describe puts what was fetched in the form that every consumer of Flux's sources understands.
func (t *task[T]) describe(got fetched[T]) *meta.Artifact {
	file, url := t.address(got.snapshot.Digest())
	size := got.snapshot.Size()
	return &meta.Artifact{
		Path: file, URL: url,
		Revision: got.snapshot.Revision(), Digest: got.snapshot.Digest(), Size: &size,
		LastUpdateTime: metav1.NewTime(t.opts.Clock.Now()), Metadata: got.metadata,
	}
}

// fail records why the fetch failed. The artifact stays, and with it all that was delivered from it.
// reached: the server was asked and answered, what it has can't be used.
func (t *task[T]) fail(ctx context.Context, err error, reached bool) (ctrl.Result, error) {
	reason, message := reasonOf(err, t.driver.traits().failed), err.Error()
	fresh := t.condition(meta.ReadyCondition, metav1.ConditionFalse, reason, message)
	if reached {
		t.remove(sourcev1.FetchFailedCondition)
	} else {
		t.condition(sourcev1.FetchFailedCondition, metav1.ConditionTrue, reason, message)
	}
	t.condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason, "Trying again")
	t.remove(meta.StalledCondition)
	t.storage(reason, message)
	t.readdress()
	if fresh {
		t.event(reason, message, true)
	}
	t.poll.failures++
	pause := max(min(wake.Interval(t.interval), wake.Backoff(t.poll.failures)), retryAfter(err))
	t.poll.next = t.opts.Clock.Now().Add(wake.Spread(pause))
	if err := t.write(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: t.pause()}, nil
}

// storage says that the agent's own disk is what fails, if it is, and frees what can be freed.
func (t *task[T]) storage(reason, message string) {
	if reason != source.ReasonStorageOperationFailed {
		t.remove(sourcev1.StorageOperationFailedCondition)
		return
	}
	t.condition(sourcev1.StorageOperationFailedCondition, metav1.ConditionTrue, reason, message)
	t.collector.soon()
}

// stall records that only a change of the spec helps.
func (t *task[T]) stall(ctx context.Context, reason string, err error) error {
	fresh := t.condition(meta.ReadyCondition, metav1.ConditionFalse, reason, err.Error())
	t.remove(sourcev1.FetchFailedCondition)
	t.condition(meta.StalledCondition, metav1.ConditionTrue, reason, err.Error())
	t.remove(meta.ReconcilingCondition)
	*t.observedGeneration = t.obj.GetGeneration()
	if fresh {
		t.event(reason, err.Error(), true)
	}
	return t.write(ctx)
}

// reasonOf is the condition reason that err brings, or the other one.
func reasonOf(err error, otherwise string) string {
	var typed *source.Error
	if errors.As(err, &typed) && typed.Reason != "" {
		return typed.Reason
	}
	return otherwise
}

// retryAfter is how long the server asks to be left alone.
func retryAfter(err error) time.Duration {
	var typed *source.Error
	if !errors.As(err, &typed) {
		return 0
	}
	return typed.RetryAfter
}

func (t *task[T]) condition(kind string, status metav1.ConditionStatus, reason, message string) (fresh bool) {
	return kube.SetCondition(t.conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: t.obj.GetGeneration(),
	})
}

// explain sets what an error means for the conditions that the kind has for itself.
func (t *task[T]) explain(got fetched[T]) {
	t.remove(got.gone...)
	t.own(got.conditions)
}

// own sets the conditions that the kind has for itself.
func (t *task[T]) own(conditions []metav1.Condition) {
	for _, c := range conditions {
		t.condition(c.Type, c.Status, c.Reason, c.Message)
	}
}

func (t *task[T]) remove(kinds ...string) {
	for _, kind := range kinds {
		apimeta.RemoveStatusCondition(t.conditions, kind)
	}
}

func (t *task[T]) write(ctx context.Context) error {
	if t.token != "" {
		*t.lastHandled = t.token
	}
	if _, err := kube.PatchStatus(ctx, t.client, t.before, t.obj, string(manager)); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

func (t *task[T]) event(reason, message string, warning bool) {
	details := map[string]string{}
	if artifact := *t.artifact; artifact != nil {
		details["revision"], details["digest"] = artifact.Revision, artifact.Digest
	}
	t.events.Tell(t.log, t.obj, details, warning, reason, message)
}
