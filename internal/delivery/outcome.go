package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// kustomizeManager is the field manager under which Flux's tools expect the status of a Kustomization to be written.
const kustomizeManager = client.FieldOwner("gotk-kustomize-controller")

// succeed records that the cluster matches the source's revision. With news it also tells so in an event.
func (t *task) succeed(ctx context.Context, news bool) (ctrl.Result, error) {
	p := t.entry.past
	t.memory.lack(t.key(), false)
	t.entry.blocked, t.entry.unanswered = false, 0
	p.failed, p.revision, p.artifact = false, t.in.artifact.Revision, t.in.artifact.Digest
	t.entry.recordAt = time.Time{}

	status := &t.obj.Status
	moved := status.LastAppliedRevision != p.revision
	recovered := !apimeta.IsStatusConditionTrue(status.Conditions, meta.ReadyCondition)
	status.LastAppliedRevision, status.LastAttemptedRevision = p.revision, p.revision
	status.LastAppliedOriginRevision = t.originRevision()
	status.ObservedGeneration = t.obj.Generation
	t.condition(meta.ReadyCondition, metav1.ConditionTrue, meta.ReconciliationSucceededReason, "Applied revision: "+p.revision)
	t.healthyCondition(metav1.ConditionTrue, meta.SucceededReason, "Health check passed")
	apimeta.RemoveStatusCondition(&status.Conditions, meta.ReconcilingCondition)
	apimeta.RemoveStatusCondition(&status.Conditions, meta.StalledCondition)
	t.history(meta.ReconciliationSucceededReason)
	if changes := t.entry.takeNews(); recovered || news || changes != "" {
		if changes != "" {
			changes = "\n" + changes
		}
		t.event(meta.ReconciliationSucceededReason, fmt.Sprintf("Reconciliation finished in %s, revision %s%s", t.took(), p.revision, changes), false)
	}
	result, err := t.end(ctx)
	if err == nil && moved {
		t.delivered(ctx)
	}
	return result, err
}

// fail records why the cluster does not match the source's revision. What ran before goes on running.
func (t *task) fail(ctx context.Context, reason string, err error) (ctrl.Result, error) {
	now := t.opts.Clock.Now()
	if t.entry.past == nil {
		t.entry.past = &past{}
	}
	if reason != meta.HealthCheckFailedReason {
		t.entry.wait = nil // what failed was not applied: no health can make it Ready
	}
	t.entry.blocked = false
	t.tell()
	p := t.entry.past
	p.generation, p.revision, p.artifact = t.obj.Generation, t.in.artifact.Revision, t.in.artifact.Digest
	p.failed, p.pending, p.ended, p.looked, p.modes = true, time.Time{}, now, now, t.modes
	p.retry = t.retryAfter(err)

	t.memory.lack(t.key(), slices.ContainsFunc(apply.Errors(err), func(e *apply.Error) bool { return e.Reason == apply.ReasonKindMissing }))
	message := t.mask(err.Error())
	t.obj.Status.LastAttemptedRevision = p.revision
	fresh := t.condition(meta.ReadyCondition, metav1.ConditionFalse, reason, message)
	t.condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason,
		fmt.Sprintf("Trying again within %s, or as soon as the source or the spec changes", p.retry))
	apimeta.RemoveStatusCondition(&t.obj.Status.Conditions, meta.StalledCondition)
	if reason == meta.HealthCheckFailedReason {
		t.healthyCondition(metav1.ConditionFalse, meta.HealthCheckFailedReason, message)
	}
	t.history(reason)
	if fresh {
		t.event(reason, message, true)
	}
	return t.end(ctx)
}

// tellExpectedAfter is how long a new Kustomization waits for what is on its way, such as the first artifact of a source that is new
// too, before its status says so: most wait shorter, and the write would be for nothing.
const tellExpectedAfter = 5 * time.Second

// block records why nothing can be done now.
func (t *task) block(ctx context.Context, b *blocked) (ctrl.Result, error) {
	if b.quiet && len(t.obj.Status.Conditions) > 0 {
		return ctrl.Result{RequeueAfter: b.again}, nil
	}
	if left := tellExpectedAfter - t.opts.Clock.Since(t.entry.since); b.expected && left > 0 && len(t.obj.Status.Conditions) == 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	t.entry.blocked = true
	fresh := t.condition(meta.ReadyCondition, metav1.ConditionFalse, b.reason, b.message)
	if b.stalled {
		t.condition(meta.StalledCondition, metav1.ConditionTrue, b.reason, b.message)
		apimeta.RemoveStatusCondition(&t.obj.Status.Conditions, meta.ReconcilingCondition)
		t.obj.Status.ObservedGeneration = t.obj.Generation
	} else {
		t.condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason, b.message)
		apimeta.RemoveStatusCondition(&t.obj.Status.Conditions, meta.StalledCondition)
	}
	if fresh && !b.expected {
		t.event(b.reason, b.message, b.stalled)
	}
	t.answer()
	return ctrl.Result{RequeueAfter: b.again}, t.write(ctx)
}

// end answers the request that is pending, writes the status and says when to come back.
func (t *task) end(ctx context.Context) (ctrl.Result, error) {
	t.answer()
	if err := t.write(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return t.again(), nil
}

func (t *task) answer() {
	if token, ok := meta.ReconcileAnnotationValue(t.obj.GetAnnotations()); ok {
		t.obj.Status.LastHandledReconcileAt = token
	}
}

// progressing sets the conditions of a change that is under way. Trying again what failed before goes on to say that it failed.
func (t *task) progressing(message string) {
	message = t.mask(message)
	t.obj.Status.LastAttemptedRevision = t.entry.past.revision
	t.condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingReason, message)
	if !t.repeated {
		t.condition(meta.ReadyCondition, metav1.ConditionUnknown, meta.ProgressingReason, "Reconciliation in progress")
		t.healthyCondition(metav1.ConditionUnknown, meta.ProgressingReason, message)
	}
}

// mask takes the values of Secrets out of a text, those of the attempt that is under way and those of the one before.
func (t *task) mask(text string) string {
	if p := t.entry.past; p != nil {
		text = p.mask.Hide(text)
	}
	return t.inputs.Mask.Hide(text)
}

// condition sets one condition of obj and tells whether it says something else than before.
func (t *task) condition(kind string, status metav1.ConditionStatus, reason, message string) (fresh bool) {
	return kube.SetCondition(&t.obj.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: t.obj.Generation,
	})
}

// healthyCondition keeps Healthy where health is asked for, and nowhere else.
func (t *task) healthyCondition(status metav1.ConditionStatus, reason, message string) {
	if t.entry.wait == nil {
		apimeta.RemoveStatusCondition(&t.obj.Status.Conditions, meta.HealthyCondition)
		return
	}
	t.condition(meta.HealthyCondition, status, reason, message)
}

func (t *task) history(outcome string) {
	if t.entry.past.digest == "" {
		return
	}
	details := map[string]string{"revision": t.in.artifact.Revision}
	if origin := t.originRevision(); origin != "" {
		details["originRevision"] = origin
	}
	t.obj.Status.History.Upsert(t.entry.past.digest, t.opts.Clock.Now(), t.took(), outcome, details)
}

func (t *task) took() time.Duration { return t.opts.Clock.Since(t.started).Round(time.Millisecond) }

func (t *task) originRevision() string { return t.in.artifact.Metadata[originRevisionKey] }

// originRevisionKey is where an artifact built from another source names that source's revision.
const originRevisionKey = "org.opencontainers.image.revision"

func changed(changes []apply.Change) bool {
	for _, c := range changes {
		if c.Action != apply.Unchanged && c.Action != apply.Skipped && c.Action != apply.Drifted {
			return true
		}
	}
	return false
}

// write patches the status if it says something else than the API server knows, and remembers it: the cache lags behind.
func (t *task) write(ctx context.Context) error {
	if t.entry.inventory != nil {
		t.obj.Status.Inventory = t.entry.inventory
	}
	version, err := kube.PatchStatus(home(ctx), t.client, t.before, t.obj, string(kustomizeManager))
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	t.entry.inventory = nil
	t.obj.ManagedFields = nil // as in the cache
	t.before = t.obj.DeepCopy()
	t.entry.written.Is(t.obj, version)
	return nil
}

// event tells people and alerting what happened, in the form Flux's tools expect.
func (t *task) event(reason, message string, warning bool) {
	details := map[string]string{}
	if t.in != nil {
		details["revision"] = t.in.artifact.Revision
		if origin := t.originRevision(); origin != "" {
			details["originRevision"] = origin
		}
	}
	t.events.Tell(t.log, t.obj, details, warning, reason, message)
}
