package apply

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
)

// established waits for a moment until the cluster serves the kinds of the CRDs that were written. For those that were written
// before and are seen not to be established there is no wait.
func (r *run) established(ctx context.Context, items []*item) error {
	crds := pick(items, func(it *item) bool { return it.ref.GroupKind() == crdKind })
	written := pick(crds, func(it *item) bool { return it.stance.writing() })
	open := pick(crds, func(it *item) bool { return it.stance == settled && it.known.Unhealthy() })
	if len(written) > 0 {
		_ = wait.PollUntilContextTimeout(ctx, lookEvery/2, r.settings.Patience, true, func(ctx context.Context) (bool, error) {
			written = pick(written, func(it *item) bool { return !r.serves(ctx, it) })
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

// serves tells whether a CRD is established: from the watch where it has seen our write, else by asking.
func (r *run) serves(ctx context.Context, it *item) bool {
	if m, ok := r.memory.get(r.opts.Owner, it.ref); ok {
		s, exists, watched := r.observer.Get(it.ref)
		if watched && exists && !m.behind(s) && (s.Healthy() || s.Unhealthy()) {
			return s.Healthy()
		}
	}
	crd, err := r.body(ctx, it.mapping, it.ref)
	return err == nil && hasCondition(crd, "Established")
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
