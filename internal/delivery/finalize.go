package delivery

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
)

// finalizeAgain is the pause between two looks at objects that are being deleted, where no watch tells.
const finalizeAgain = 5 * time.Second

// finalize does on deletion of a Kustomization what its deletionPolicy says, and lets it go.
func (r *KustomizationReconciler) finalize(ctx context.Context, obj *kustomizev1.Kustomization, e *entry) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(obj, kustomizev1.KustomizationFinalizer) {
		return ctrl.Result{}, nil
	}
	if left, err := r.deleteInventory(ctx, obj, e); err != nil {
		return ctrl.Result{RequeueAfter: retryInterval(obj)}, r.notFinalized(ctx, obj, err)
	} else if left {
		return ctrl.Result{RequeueAfter: finalizeAgain}, nil
	}
	before := obj.DeepCopy()
	controllerutil.RemoveFinalizer(obj, kustomizev1.KustomizationFinalizer)
	if err := r.client.Patch(home(ctx), obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), kustomizeManager); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("remove finalizer: %w", err)
	}
	r.forget(client.ObjectKeyFromObject(obj))
	return ctrl.Result{}, nil
}

// notFinalized says why a Kustomization that is being deleted is still there.
func (r *KustomizationReconciler) notFinalized(ctx context.Context, obj *kustomizev1.Kustomization, err error) error {
	before := obj.DeepCopy()
	message := fmt.Sprintf("Deletion of the objects failed, trying again within %s: %s", retryInterval(obj), err)
	fresh := kube.SetCondition(&obj.Status.Conditions, metav1.Condition{
		Type: meta.ReadyCondition, Status: metav1.ConditionFalse, Reason: meta.PruneFailedReason, Message: message, ObservedGeneration: obj.Generation,
	})
	if fresh {
		r.events.Event(obj, nil, true, meta.PruneFailedReason, message)
	}
	if _, err := kube.PatchStatus(home(ctx), r.client, before, obj, string(kustomizeManager)); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// deleteInventory tells whether objects are left that must be waited for.
func (r *KustomizationReconciler) deleteInventory(ctx context.Context, obj *kustomizev1.Kustomization, e *entry) (left bool, err error) {
	policy := obj.GetDeletionPolicy()
	refs := inventoryOf(obj)
	switch {
	case obj.Spec.Suspend, len(refs) == 0, policy == kustomizev1.DeletionPolicyOrphan,
		policy == kustomizev1.DeletionPolicyMirrorPrune && !obj.Spec.Prune:
		return false, nil
	}
	if off := r.aim(ctx, e, obj); off != nil {
		return false, fmt.Errorf("%s. To let this Kustomization go and leave its objects where they are, set spec.deletionPolicy to Orphan", off.message)
	}
	to := e.target
	id := r.identity(obj)
	if !r.mayAct(obj) {
		r.events.Event(obj, nil, true, meta.PruneFailedReason, fmt.Sprintf(
			"%d objects are left in the cluster: no service account is named as which they may be deleted", len(refs)))
		return false, nil
	}
	if to.remote == nil { // a remote cluster's accounts are its own: what it refuses comes back from the deletion
		gone, err := r.accountGone(ctx, id)
		if err != nil {
			return false, err
		}
		if gone {
			r.events.Event(obj, nil, true, meta.PruneFailedReason, fmt.Sprintf(
				"%d objects are left in the cluster: service account %s, as which they were applied, no longer exists", len(refs), id.ServiceAccount))
			return false, nil
		}
	}
	opts := apply.Options{Owner: ownerOf(client.ObjectKeyFromObject(obj)), Identity: id}
	changes, err := to.applier.Prune(ctx, refs, opts)
	if err != nil {
		return false, err
	}
	if policy == kustomizev1.DeletionPolicyWaitForTermination {
		return to.anyLeft(ctx, id, changes)
	}
	return false, nil
}

// accountGone tells whether the service account is deleted, as it is when its namespace goes. Then nothing can be deleted in its name,
// and the Kustomization must not hang for ever.
func (r *KustomizationReconciler) accountGone(ctx context.Context, id kube.Identity) (bool, error) {
	if id == (kube.Identity{}) {
		return false, nil
	}
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: id.Namespace, Name: id.ServiceAccount}, &corev1.ServiceAccount{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for service account %s: %w", id.ServiceAccount, err)
	}
	return false, nil
}

func (to *target) anyLeft(ctx context.Context, id kube.Identity, changes []apply.Change) (bool, error) {
	for _, c := range changes {
		if c.Action != apply.Deleted {
			continue
		}
		switch _, err := to.clients.Get(ctx, id, c.Ref); {
		case err == nil:
			return true, nil
		case !apierrors.IsNotFound(err):
			return false, fmt.Errorf("look whether %s is gone: %w", c.Ref.Subject(), err)
		}
	}
	return false, nil
}
