package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// lookEvery is the pause between two looks at an object that is waited for.
const lookEvery = 100 * time.Millisecond

// replaceable tells whether a refusal can be overcome by deleting the object and creating it again, and may be. What takes other
// objects along is never deleted for that, and what holds data only where the object itself asks for it.
func (r *run) replaceable(it *item, err error) bool {
	if !it.force || !immutable(err) {
		return false
	}
	switch it.ref.Kind {
	case namespaceKind.Kind, crdKind.Kind:
		return false
	case "PersistentVolume", "PersistentVolumeClaim":
		return is(it.obj.GetAnnotations(), annotationForce, "enabled")
	}
	return true
}

// proveReplacement has the API server check an object as a new one, under a name that nobody has, before the old one is deleted.
func (r *run) proveReplacement(ctx context.Context, it *item) *Error {
	probe := it.obj.DeepCopy()
	name := strings.TrimRight(it.ref.Name[:min(len(it.ref.Name), 50)], "-.") + "-slipway"
	probe.SetName(name)
	body, err := json.Marshal(probe.Object)
	if err != nil {
		return invalid(it.ref, "can't be written as JSON: "+err.Error())
	}
	_, err = r.applyBody(ctx, it, name, body, true)
	if err != nil && strings.Contains(message(err), "already allocated") {
		return nil // by the very object that goes
	}
	if err == nil {
		return nil
	}
	return r.refused(it, err)
}

// recreate deletes the object and creates it anew. An object that doesn't go soon has to be waited for: by this call for a moment when it
// has deleted the object itself, and not at all when the object was being deleted before.
func (r *run) recreate(ctx context.Context, it *item) *Error {
	live, err := r.head(ctx, it.mapping, it.ref)
	if err == nil {
		r.memory.drop(r.opts.Owner, it.ref)
		if live.DeletionTimestamp != nil {
			return going(it, live)
		}
		err = r.remove(ctx, it.mapping, it.ref, live.UID, "")
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return r.explain(it, "delete", err)
	}
	if live != nil {
		if e := r.gone(ctx, it, live.UID); e != nil {
			return e
		}
	}
	if it.whole != nil {
		it.body, it.liveVersion, it.kept = it.whole, "", false
	}
	got, err := r.apply(ctx, it, false)
	if err != nil {
		return r.refused(it, err)
	}
	return r.record(ctx, it, got, Recreated)
}

// gone waits for a moment until an object no longer exists.
func (r *run) gone(ctx context.Context, it *item, uid types.UID) *Error {
	var last *metav1.PartialObjectMetadata
	var problem error
	err := wait.PollUntilContextTimeout(ctx, lookEvery, r.settings.Patience, true, func(ctx context.Context) (bool, error) {
		live, err := r.head(ctx, it.mapping, it.ref)
		if err == nil {
			last = live
		}
		problem = err
		return apierrors.IsNotFound(err) || err == nil && live.UID != uid, nil
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return r.explain(it, "delete", ctx.Err())
	case last == nil:
		return r.explain(it, "get", problem)
	}
	return going(it, last)
}

// going has the set wait for the end of an object that is to be created again.
func going(it *item, live *metav1.PartialObjectMetadata) *Error {
	return &Error{Reason: ReasonImmutable, Ref: it.ref, Message: "is being deleted, to be created again", wait: deletionOf(live)}
}

// deletionOf says what an object that is being deleted waits for.
func deletionOf(obj *metav1.PartialObjectMetadata) string {
	if len(obj.Finalizers) == 0 {
		return "to be deleted"
	}
	return fmt.Sprintf("to be deleted, which its finalizers hold up (%s)", strings.Join(slices.Sorted(slices.Values(obj.Finalizers)), ", "))
}
