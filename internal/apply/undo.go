package apply

import (
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// undoTimeout bounds the removal of what was created in vain, also when the caller's time is up.
const undoTimeout = 10 * time.Second

// takeBack removes the objects that were created in vain, as long as nobody has touched them since, so that a refused set changes
// nothing. The owner's next set is proved as a whole beforehand.
func (r *run) takeBack(ctx context.Context, cause error) error {
	if after := orWait(cause); errors.As(after, new(*Incomplete)) {
		return after
	}
	if !refusal(cause) {
		return cause // nobody said no: the next attempt goes on from here
	}
	r.setCareful(r.opts.Owner, true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for _, c := range slices.Backward(r.undo) {
		m, err := r.clients.Mapping(c.Ref.GroupKind(), c.Ref.Version)
		if err != nil {
			continue
		}
		err = r.remove(ctx, m, c.Ref, c.UID, c.ResourceVersion)
		if err != nil && !apierrors.IsNotFound(err) {
			continue // it stays in the result, and with that in the caller's inventory
		}
		r.memory.bury(r.opts.Owner, c.Ref, c.UID)
		r.result.Changes = slices.DeleteFunc(r.result.Changes, func(o Change) bool { return o.Ref == c.Ref })
	}
	return cause
}

// Unanswered tells whether objects could not be applied for no reason of their own: the API server, or a webhook, gave no answer.
func Unanswered(err error) bool { return len(Errors(err)) > 0 && !refusal(err) }

// refusal tells whether an error says that an object was refused, and not only that there was no answer.
func refusal(err error) bool {
	return slices.ContainsFunc(Errors(err), func(e *Error) bool { return e.Reason != ReasonUnavailable && e.Reason != ReasonConflict })
}
