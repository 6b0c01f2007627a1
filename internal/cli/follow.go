package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follow watches obj until the controller has answered the request, shows what it says meanwhile, and prints how it ended.
func (a *App) follow(ctx context.Context, c *cluster, k kind, obj delivered, request string) error {
	last := ""
	var end outcome
	err := c.watchOne(ctx, obj, k.newList, func(now client.Object) (bool, error) {
		end = judge(k, now.(delivered), request)
		if end.message != last && end.message != "" {
			last = end.message
			if !end.final {
				a.waitf("%s", oneLine(last))
			}
		}
		return end.final, nil
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return a.notAnswered(ctx, k, obj, end)
	case err != nil:
		return fmt.Errorf("follow %s %s/%s: %w", k.name, obj.GetNamespace(), obj.GetName(), err)
	case !end.ready:
		return fmt.Errorf("%s %s/%s failed: %s", k.name, obj.GetNamespace(), obj.GetName(), end.message)
	}
	a.donef("%s %s/%s: %s", k.name, obj.GetNamespace(), obj.GetName(), end.message)
	return nil
}

func (a *App) notAnswered(ctx context.Context, k kind, obj delivered, end outcome) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if !end.answered {
		return fmt.Errorf("nobody answered for %s %s/%s in time; is the agent running? 'slipway check' and 'slipway logs' tell more",
			k.name, obj.GetNamespace(), obj.GetName())
	}
	return fmt.Errorf("%s %s/%s isn't ready in time: %s", k.name, obj.GetNamespace(), obj.GetName(), end.message)
}

// outcome is how far a requested reconciliation is.
type outcome struct {
	answered bool // the controller has seen the request
	final    bool // nothing more is to be expected
	ready    bool
	message  string
}

// judge reads obj's status by Flux's rules: the request is answered when the status repeats it, and over when Ready is True, or
// False with nothing of it still going on. Without a request, what is asked for is the spec.
func judge(k kind, obj delivered, request string) outcome {
	var (
		conditions  = obj.GetConditions()
		ready       = apimeta.FindStatusCondition(conditions, meta.ReadyCondition)
		reconciling = apimeta.FindStatusCondition(conditions, meta.ReconcilingCondition)
	)
	if ready == nil || request != "" && k.handled(obj) != request || ready.ObservedGeneration < obj.GetGeneration() {
		return outcome{}
	}
	now := outcome{answered: true, message: ready.Message}
	if reconciling != nil && reconciling.Status == metav1.ConditionTrue && reconciling.Reason != meta.ProgressingWithRetryReason {
		now.message = reconciling.Message
		return now
	}
	now.final = ready.Status != metav1.ConditionUnknown
	now.ready = ready.Status == metav1.ConditionTrue
	return now
}

// errGone says that a watched object isn't in the cluster any more.
var errGone = errors.New("it was deleted meanwhile")

// watchOne calls seen with each state of obj, the present one first, until it returns true or an error, ctx ends, or the object
// is gone, which is errGone. A watch that breaks is taken up again.
func (c *cluster) watchOne(
	ctx context.Context, obj client.Object, newList func() client.ObjectList, seen func(client.Object) (bool, error),
) error {
	options := func(raw metav1.ListOptions) *client.ListOptions {
		return &client.ListOptions{
			Namespace:     obj.GetNamespace(),
			FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, obj.GetName()),
			Raw:           &raw,
		}
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
			list := newList()
			return list, c.List(ctx, list, options(raw))
		},
		WatchFuncWithContext: func(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, newList(), options(raw))
		},
	}
	exists := func(found cache.Store) (bool, error) {
		if len(found.List()) == 0 {
			return false, errGone
		}
		return false, nil
	}
	_, err := watchtools.UntilWithSync(ctx, source, obj, exists, func(event watch.Event) (bool, error) {
		if event.Type == watch.Deleted {
			return false, errGone
		}
		now, ok := event.Object.(client.Object)
		if !ok {
			return false, nil
		}
		return seen(now)
	})
	return err
}

// waitGone waits until obj isn't in the cluster any more.
func (c *cluster) waitGone(ctx context.Context, obj client.Object, newList func() client.ObjectList) error {
	err := c.watchOne(ctx, obj, newList, func(client.Object) (bool, error) { return false, nil })
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}
