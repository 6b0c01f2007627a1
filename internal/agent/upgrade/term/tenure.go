package term

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// The annotations of the Lease. That of the term is also on the objects that a slot consists of.
const (
	// SlotAnnotation names the slot that works.
	SlotAnnotation = "slipway.dev/slot"
	// TermAnnotation is a number that grows by one whenever the slot changes.
	TermAnnotation = "slipway.dev/term"
	// HeldAnnotation is the term in which the holder took or renewed the Lease last.
	HeldAnnotation = "slipway.dev/held-term"
)

// Tenure is a slot that works, and the term in which it does. The zero tenure is nobody's: who comes first takes it.
type Tenure struct {
	Slot v1alpha1.AgentSlot
	Term int64
}

// Next is the tenure that follows with another slot.
func (t Tenure) Next(slot v1alpha1.AgentSlot) Tenure { return Tenure{Slot: slot, Term: t.Term + 1} }

// ErrMoved says that the Lease isn't as it was when it was decided to change it: somebody else was faster.
var ErrMoved = errors.New("the lease has moved on")

// Of reads the tenure of a Lease.
func Of(lease *coordinationv1.Lease) Tenure {
	return Tenure{Slot: v1alpha1.AgentSlot(lease.Annotations[SlotAnnotation]), Term: Stamped(lease)}
}

// Stamped reads the term of an object; 0 where it has none.
func Stamped(obj metav1.Object) int64 {
	n, err := strconv.ParseInt(obj.GetAnnotations()[TermAnnotation], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Stamp writes a term on an object, in memory.
func Stamp(obj metav1.Object, n int64) { annotate(obj, TermAnnotation, strconv.FormatInt(n, 10)) }

func annotate(obj metav1.Object, key, value string) {
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}

// hold writes a tenure on a Lease, in memory.
func hold(lease *coordinationv1.Lease, t Tenure) {
	annotate(lease, SlotAnnotation, string(t.Slot))
	Stamp(lease, t.Term)
}

// Holder is what a Lease says at one moment.
type Holder struct {
	Tenure
	// Identity of the process that holds the Lease; empty if nobody does.
	Identity string
	// Taken says that a process of the tenure's slot holds it, or held it last, in this term.
	Taken bool
	// Version changes with each renewal.
	Version string
}

// Read reads the Lease. One that isn't there has the zero tenure.
func Read(ctx context.Context, leases coordination.LeaseInterface, name string) (Holder, error) {
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	switch {
	case notFound(err):
		return Holder{}, nil
	case err != nil:
		return Holder{}, fmt.Errorf("read lease %s: %w", name, err)
	}
	return holderOf(lease), nil
}

func holderOf(lease *coordinationv1.Lease) Holder {
	h := Holder{Tenure: Of(lease), Version: lease.ResourceVersion}
	if lease.Spec.HolderIdentity != nil {
		h.Identity = *lease.Spec.HolderIdentity
	}
	h.Taken = h.Slot != "" && h.Identity != "" && lease.Annotations[HeldAnnotation] == lease.Annotations[TermAnnotation]
	return h
}

// giveTries is how often Give tries again because the holder has renewed meanwhile.
const giveTries = 10

// Give gives the Lease to a slot, if it is still as in from: one write, which leaves the holder as it is. What has been given already isn't
// given again. Otherwise it returns an [ErrMoved]. A Lease that isn't there is made.
func Give(ctx context.Context, leases coordination.LeaseInterface, name string, from Tenure, to v1alpha1.AgentSlot) (t Tenure, err error) {
	for range giveTries {
		t, err = give(ctx, leases, name, from, to)
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return t, err
}

func give(ctx context.Context, leases coordination.LeaseInterface, name string, from Tenure, to v1alpha1.AgentSlot) (Tenure, error) {
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	if notFound(err) {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
		hold(lease, from.Next(to))
		if _, err := leases.Create(ctx, lease, metav1.CreateOptions{}); err != nil {
			return Tenure{}, moved(err)
		}
		return from.Next(to), nil
	}
	if err != nil {
		return Tenure{}, fmt.Errorf("read lease %s: %w", name, err)
	}
	now := Of(lease)
	switch {
	case now.Slot == to:
		return now, nil
	case now != from:
		return now, fmt.Errorf("%w: slot %s has it in term %d", ErrMoved, now.Slot, now.Term)
	}
	hold(lease, now.Next(to))
	if _, err := leases.Update(ctx, lease, metav1.UpdateOptions{}); err != nil {
		return now, moved(err)
	}
	return now.Next(to), nil
}
