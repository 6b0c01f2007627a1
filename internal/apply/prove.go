package apply

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

// sameSecond is how recent an apply must be for its time to tell nothing: managedFields count in seconds, and clocks differ.
const sameSecond = 5 * time.Second

// unproved returns the item that is written first without a dry-run, as its write is its own proof. There is none when an item that
// is written for sure has to be written before it, or when the last set of this owner was refused half-way.
func (r *run) unproved(items []*item) *item {
	if r.opts.Continue || r.careful(r.opts.Owner) {
		return nil
	}
	for _, it := range items {
		switch {
		case it.light, !it.stance.writing():
			continue
		case it.stance == restore:
			return nil
		}
		return it
	}
	return nil
}

// prove has the API server check what is not proved otherwise. When something is refused, nothing was written.
func (r *run) prove(ctx context.Context, items []*item, first *item) error {
	unsure := pick(items, func(it *item) bool {
		if r.opts.Continue && it.stance != probe {
			return false
		}
		return it.stance.proving() && it != first && !it.light && !r.needsOther(it, items)
	})
	return r.each(unsure, func(it *item) *Error {
		got, err := r.apply(ctx, it, true)
		if err != nil && r.replaceable(it, err) {
			it.stance, it.replace = change, true
			return r.proveReplacement(ctx, it)
		}
		if err != nil {
			return r.refused(it, err)
		}
		if it.stance == probe {
			r.settle(it, got)
		}
		return nil
	})
}

// settle decides from its dry-run whether an existing item has to be written at all.
func (r *run) settle(it *item, got answer) {
	would := observe.Inspect(&got, r.opts.Manager)
	it.stance = change
	if would.UID != it.known.UID || would.Owned != it.known.Owned || would.Overridden {
		if r.opts.Same && r.tolerated(it) {
			it.stance = leave
		}
		return
	}
	if at := appliedAt(got.ManagedFields, r.opts.Manager); r.settings.Now().Sub(at).Abs() < sameSecond {
		return
	}
	it.stance = settled
	r.memory.put(r.opts.Owner, it.ref, record{
		uid: would.UID, resourceVersion: it.known.ResourceVersion, owned: would.Owned, desired: it.desired, once: it.once, mode: it.asked,
	})
}

func appliedAt(entries []metav1.ManagedFieldsEntry, manager string) time.Time {
	for _, e := range entries {
		if observe.Ours(e, manager) && e.Time != nil {
			return e.Time.Time
		}
	}
	return time.Time{}
}

// needsOther tells whether an item can't be proved before another new one of the set is there: the API server looks the other one up.
func (r *run) needsOther(it *item, items []*item) bool {
	needs := func(kind, name string) bool {
		for _, o := range items {
			if o.stance == create && o.ref.Kind == kind && o.ref.Name == name && o.ref.Namespace == it.ref.Namespace {
				return true
			}
		}
		return false
	}
	switch it.ref.GroupKind() {
	case bindingKind:
		ref, _, _ := unstructured.NestedMap(it.obj.Object, "roleRef")
		kind, _ := ref["kind"].(string)
		name, _ := ref["name"].(string)
		return kind == roleKind.Kind && needs(kind, name)
	case podKind:
		return needs(accountKind.Kind, nested(it.obj, "spec", "serviceAccountName"))
	}
	return false
}
