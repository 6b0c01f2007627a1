package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/slipway/internal/kube"
)

// Reason says what kind of problem an Error is, in a word for programs.
type Reason string

const (
	// ReasonInvalid means that the API server refuses the object as it is written.
	ReasonInvalid Reason = "InvalidObject"
	// ReasonImmutable means that a field would have to change that can't.
	ReasonImmutable Reason = "ImmutableField"
	// ReasonKindMissing means that the cluster doesn't serve the kind.
	ReasonKindMissing Reason = "KindMissing"
	// ReasonNamespaceMissing means that there is no namespace to put the object into.
	ReasonNamespaceMissing Reason = "NamespaceMissing"
	// ReasonNamespaceTerminating means that the namespace to put the object into is being deleted.
	ReasonNamespaceTerminating Reason = "NamespaceTerminating"
	// ReasonForbidden means that the identity has no right to do it.
	ReasonForbidden Reason = "Forbidden"
	// ReasonDenied means that an admission webhook or policy refuses the object.
	ReasonDenied Reason = "AdmissionDenied"
	// ReasonQuota means that a ResourceQuota is used up.
	ReasonQuota Reason = "QuotaExceeded"
	// ReasonOwned means that another owner applies the same object.
	ReasonOwned Reason = "OwnedByAnother"
	// ReasonConflict means that the object changed at the same moment, again and again.
	ReasonConflict Reason = "Conflict"
	// ReasonUnavailable means that the API server, or a webhook that it asks, did not answer in time.
	ReasonUnavailable Reason = "Unavailable"
	// ReasonFailed is everything else.
	ReasonFailed Reason = "ApplyFailed"
)

// Error is why an object could not be applied or pruned. Its text says what to do, and never holds the data of a Secret.
type Error struct {
	Reason Reason
	Ref    kube.Ref
	// Message says what is wrong and what to do about it, as the end of a sentence that begins with the object.
	Message string
	// Err is the API server's answer, nil where its text could hold secrets.
	Err error
	// Found says, of a plan, that the object is in the cluster: the API server's words may quote it.
	Found bool

	// wait is what has to happen to the object before the set can go on, when it is that and not a refusal.
	wait string
}

// Error returns the whole sentence.
func (e *Error) Error() string { return e.Ref.Subject() + " " + e.Message }

// Unwrap returns the API server's answer.
func (e *Error) Unwrap() error { return e.Err }

// Wait is one object that a set waits for.
type Wait struct {
	Ref kube.Ref
	// For says what has to happen to it.
	For string
}

// Incomplete says that the rest of a set has to wait. Apply again when one of the objects has changed.
type Incomplete struct {
	Waiting []Wait
}

// Error names what is waited for.
func (i *Incomplete) Error() string {
	parts := make([]string, 0, len(i.Waiting))
	for _, w := range i.Waiting {
		parts = append(parts, w.Ref.Subject()+" "+w.For)
	}
	return "waiting for " + abridged(parts, "; ")
}

// orWait returns Incomplete for an error that is nothing but objects to wait for, and leaves those out of any other.
func orWait(err error) error {
	var waiting []Wait
	var failed []*Error
	for _, e := range Errors(err) {
		if e.wait != "" {
			waiting = append(waiting, Wait{Ref: e.Ref, For: e.wait})
		} else {
			failed = append(failed, e)
		}
	}
	if len(failed) == 0 && len(waiting) > 0 {
		return &Incomplete{Waiting: waiting}
	}
	if len(waiting) == 0 {
		return err
	}
	return joined(failed)
}

// Errors returns the *Error values that an error of Apply or Prune is made of.
func Errors(err error) []*Error {
	var all set
	if errors.As(err, &all) {
		return all
	}
	var one *Error
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return nil
}

// set is more than one Error.
type set []*Error

func (s set) Error() string {
	parts := make([]string, 0, len(s))
	for _, e := range s {
		parts = append(parts, e.Error())
	}
	return abridged(parts, "\n")
}

func (s set) Unwrap() []error {
	out := make([]error, len(s))
	for i, e := range s {
		out[i] = e
	}
	return out
}

// maxListed is how many parts of a long list a message holds.
const maxListed = 10

func abridged(parts []string, separator string) string {
	if len(parts) > maxListed {
		parts = append(slices.Clone(parts[:maxListed]), fmt.Sprintf("and %d more", len(parts)-maxListed))
	}
	return strings.Join(parts, separator)
}

// joined returns errors in the order in which their objects are applied, nil for none.
func joined(errs []*Error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(e *Error) bool { return e == nil })
	if len(errs) == 0 {
		return nil
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return compareOrder(a.Ref, b.Ref) })
	if len(errs) == 1 {
		return errs[0]
	}
	return set(errs)
}

func invalid(ref kube.Ref, message string) *Error {
	return &Error{Reason: ReasonInvalid, Ref: ref, Message: message}
}
