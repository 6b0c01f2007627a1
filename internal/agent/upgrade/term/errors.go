package term

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ErrOtherSlot says that the Lease is the other slot's.
var ErrOtherSlot = errors.New("the lease is the other slot's")

// ErrFenced says that a request would have changed something, and that the process doesn't hold its Lease any more.
var ErrFenced = errors.New("this agent doesn't hold its lease any more, and writes nothing")

func notFound(err error) bool { return apierrors.IsNotFound(err) }

// moved tells a write that came too late from one that failed.
func moved(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	return fmt.Errorf("write the lease: %w", err)
}
