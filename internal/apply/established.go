package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
)

// established waits for a moment until the cluster serves the kinds of the CRDs that were created. For those that existed before and are
// seen not to be established there is no wait: an attempt before this one has waited.
func (r *run) established(ctx context.Context, items []*item) error {
	crds := pick(items, func(it *item) bool { return it.ref.GroupKind() == crdKind })
	written := pick(crds, func(it *item) bool { return it.stance.writing() })
	open := pick(crds, func(it *item) bool { return it.stance == settled && it.known.Unhealthy() })
	if len(written) > 0 {
		_ = wait.PollUntilContextTimeout(ctx, lookEvery/2, r.settings.Patience, true, func(ctx context.Context) (bool, error) {
			var stuck []*item
			written, stuck = r.unestablished(ctx, written)
			open = append(open, stuck...)
			return len(written) == 0, nil
		})
		r.clients.Invalidate()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for CRDs: %w", err)
	}
	open = append(open, written...)
	if len(open) == 0 {
		return nil
	}
	waiting := make([]Wait, len(open))
	for i, it := range open {
		waiting[i] = Wait{Ref: it.ref, For: "to be established"}
	}
	return &Incomplete{Waiting: waiting}
}

// unestablished returns those of CRDs that were written which may be established at any moment, and those that had their time before.
func (r *run) unestablished(ctx context.Context, crds []*item) (soon, stuck []*item) {
	for _, it := range crds {
		served, known := r.serves(ctx, it)
		switch {
		case served:
		case known && !r.novel(it):
			stuck = append(stuck, it)
		default:
			soon = append(soon, it)
		}
	}
	return soon, stuck
}

// novel tells whether nobody can have waited yet for a CRD to be established: this run created it, or it was established before.
func (r *run) novel(it *item) bool {
	gk, _ := defines(it)
	_, created := r.young[gk.String()]
	return created || it.known.Healthy()
}

// serves tells whether a CRD is established: from the watch where it has seen our write, else by asking. It is not known when there was
// no answer.
func (r *run) serves(ctx context.Context, it *item) (served, known bool) {
	if m, ok := r.memory.get(r.opts.Owner, it.ref); ok {
		s, exists, watched := r.observer.Get(it.ref)
		if watched && exists && !m.behind(s) && (s.Healthy() || s.Unhealthy()) {
			return s.Healthy(), true
		}
	}
	crd, err := r.body(ctx, it.mapping, it.ref)
	return err == nil && hasCondition(crd, "Established"), err == nil
}

func hasCondition(obj *unstructured.Unstructured, conditionType string) bool {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		fields, _ := c.(map[string]any)
		if fields["type"] == conditionType && fields["status"] == "True" {
			return true
		}
	}
	return false
}
