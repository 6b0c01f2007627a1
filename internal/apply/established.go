package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/slipway-dev/slipway/internal/health"
)

// established waits for a moment until the cluster serves the kinds of the CRDs that were written.
func (r *run) established(ctx context.Context, items []*item) error {
	open := pick(items, func(it *item) bool { return it.ref.GroupKind() == crdKind && it.stance.writing() })
	if len(open) == 0 {
		return nil
	}
	err := wait.PollUntilContextTimeout(ctx, lookEvery/2, r.settings.Patience, true, func(ctx context.Context) (bool, error) {
		open = pick(open, func(it *item) bool { return !r.serves(ctx, it) })
		return len(open) == 0, nil
	})
	r.clients.Invalidate()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	waiting := make([]Wait, len(open))
	for i, it := range open {
		waiting[i] = Wait{Ref: it.ref, For: "to be established"}
	}
	return &Incomplete{Waiting: waiting}
}

// serves tells whether a CRD is established: from the watch where it has seen our write, else by asking.
func (r *run) serves(ctx context.Context, it *item) bool {
	if m, ok := r.memory.get(it.ref); ok {
		s, exists, watched := r.observer.Get(it.ref)
		if watched && exists && !m.behind(s) && s.Health.State != "" {
			return s.Health.State == health.Healthy
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
