package apply

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

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
		if it.stance != probe {
			return nil
		}
		r.settle(it, got)
		if it.stance != change {
			return nil
		}
		return r.takenOver(ctx, it, got)
	})
}

// settle decides from its dry-run whether an existing item has to be written at all.
func (r *run) settle(it *item, got answer) {
	would := r.inspect(&got)
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

// takenOver settles an item of which a write would only give up fields, without changing a value: Flux applies objects with the defaults
// of their kind, and leaves us the owner of those. To drop them would write every object that changes hands.
func (r *run) takenOver(ctx context.Context, it *item, got answer) *Error {
	would := r.inspect(&got)
	if would.UID != it.known.UID || would.Overridden || it.known.Owner != r.opts.Owner.key() {
		return nil
	}
	head, err := r.head(ctx, it.mapping, it.ref)
	if err != nil {
		return r.explain(it, "get", err)
	}
	more, err := ownsMore(head.ManagedFields, got.ManagedFields, r.opts.Manager)
	if err != nil {
		return invalid(it.ref, err.Error())
	}
	if !more {
		return nil
	}
	live, err := r.body(ctx, it.mapping, it.ref)
	if err != nil {
		return r.explain(it, "get", err)
	}
	state := r.inspect(live)
	if state.UID != would.UID || state.Overridden {
		return nil
	}
	after, err := r.preview(ctx, it)
	if err != nil {
		return r.refused(it, err)
	}
	for _, obj := range []*unstructured.Unstructured{live, after} {
		obj.SetManagedFields(nil)
		obj.SetResourceVersion("")
	}
	if !equality.Semantic.DeepEqual(live.Object, after.Object) {
		return nil
	}
	it.stance = settled
	r.memory.put(r.opts.Owner, it.ref, record{
		uid: state.UID, resourceVersion: state.ResourceVersion, owned: state.Owned, desired: it.desired, once: it.once, mode: it.asked,
	})
	return nil
}

// ownsMore tells whether a manager owns now all that it would own, and more.
func ownsMore(now, would []metav1.ManagedFieldsEntry, manager string) (bool, error) {
	sets := [2]*fieldpath.Set{{}, {}}
	for i, entries := range [][]metav1.ManagedFieldsEntry{now, would} {
		for _, e := range entries {
			if !observe.Ours(e, manager) {
				continue
			}
			one, err := fieldsIn(e)
			if err != nil {
				return false, err
			}
			sets[i] = sets[i].Union(one)
		}
	}
	less, more := sets[1].Leaves(), sets[0].Leaves()
	return less.Difference(sets[0]).Empty() && !more.Difference(sets[1]).Empty(), nil
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
