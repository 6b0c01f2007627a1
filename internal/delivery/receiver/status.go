package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/go-logr/logr"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/slipway-dev/slipway/internal/kube"
)

// step is one reconcile of one Receiver.
type step struct {
	*Reconciler
	log         logr.Logger
	before, obj *apiv1.Receiver
}

// succeed publishes the address. The Secret is read again after the interval, since it isn't watched.
func (s *step) succeed(ctx context.Context, path string) (ctrl.Result, error) {
	s.obj.Status.WebhookPath = path
	fresh := s.condition(meta.ReadyCondition, metav1.ConditionTrue, meta.SucceededReason, "Receiver initialized for path: "+path)
	apimeta.RemoveStatusCondition(&s.obj.Status.Conditions, meta.ReconcilingCondition)
	apimeta.RemoveStatusCondition(&s.obj.Status.Conditions, meta.StalledCondition)
	s.obj.Status.ObservedGeneration = s.obj.Generation
	if err := s.write(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if fresh {
		s.event(meta.SucceededReason, "Webhooks are received at the path in the status", false)
	}
	return ctrl.Result{RequeueAfter: s.every()}, nil
}

// fail records that there is no token. Without one there is no address either.
func (s *step) fail(ctx context.Context, err error) (ctrl.Result, error) {
	var missing *errToken
	if !errors.As(err, &missing) {
		return ctrl.Result{}, err // the API server's trouble, not the object's
	}
	s.obj.Status.WebhookPath = ""
	fresh := s.condition(meta.ReadyCondition, metav1.ConditionFalse, apiv1.TokenNotFoundReason, missing.message)
	s.condition(meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason, "Trying again")
	apimeta.RemoveStatusCondition(&s.obj.Status.Conditions, meta.StalledCondition)
	s.obj.Status.ObservedGeneration = s.obj.Generation
	if fresh {
		s.event(apiv1.TokenNotFoundReason, missing.message, true)
	}
	if err := s.write(ctx); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: s.pause()}, nil
}

// pause is as long as the Receiver hasn't been ready: it doubles from failure to failure, up to the interval.
func (s *step) pause() time.Duration {
	var since time.Duration
	if ready := apimeta.FindStatusCondition(s.obj.Status.Conditions, meta.ReadyCondition); ready != nil {
		since = s.opts.Clock.Since(ready.LastTransitionTime.Time)
	}
	return min(max(since, firstPause), s.every())
}

// every is the interval, with a lower bound.
func (s *step) every() time.Duration { return max(s.obj.GetInterval(), minInterval) }

// stall records that only a change of the spec helps. Webhooks are not answered before.
func (s *step) stall(ctx context.Context, reason string, err error) error {
	fresh := s.condition(meta.ReadyCondition, metav1.ConditionFalse, reason, err.Error())
	s.condition(meta.StalledCondition, metav1.ConditionTrue, reason, err.Error())
	apimeta.RemoveStatusCondition(&s.obj.Status.Conditions, meta.ReconcilingCondition)
	s.obj.Status.ObservedGeneration = s.obj.Generation
	if fresh {
		s.event(reason, err.Error(), true)
	}
	return s.write(ctx)
}

func (s *step) condition(kind string, status metav1.ConditionStatus, reason, message string) (fresh bool) {
	return kube.SetCondition(&s.obj.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: s.obj.Generation,
	})
}

func (s *step) write(ctx context.Context) error {
	if token, ok := meta.ReconcileAnnotationValue(s.obj.GetAnnotations()); ok {
		s.obj.Status.LastHandledReconcileAt = token
	}
	if _, err := kube.PatchStatus(ctx, s.client, s.before, s.obj, string(fieldManager)); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// event tells people what happened, and the log in the same words.
func (s *step) event(reason, message string, warning bool) {
	s.events.Tell(s.log, s.obj, nil, warning, reason, message)
}
