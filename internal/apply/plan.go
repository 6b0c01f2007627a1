package apply

import (
	"context"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/kube"
)

// PlannedChange is what Apply or Prune would do with an object.
type PlannedChange struct {
	Ref kube.Ref
	// Action is Created, Configured, Unchanged, Recreated or Skipped; of PlanPrune Deleted or Skipped.
	Action Action
	// Before and After are the object in the cluster, now and after an apply, as YAML without what the API server adds for itself.
	// Before is empty when the object doesn't exist, After when it is to be deleted. The data of Secrets is masked.
	Before, After string
	// Live and Next are the same objects as the API server has and would have them, for code: with the data of Secrets. Nil where there is
	// none, and Next also where it could not be asked. Of objects whose namespace or kind isn't there yet, Next is the object as given.
	Live, Next *unstructured.Unstructured
	// Note says why an object would be skipped, that its namespace or kind has to be created first and it could not be checked, or
	// that more would be changed than After shows.
	Note string
}

// Plan tells what Apply would do, object by object and in its order, without changing anything. An error is one or several *Error; the
// objects that they are about are missing in the plan.
func (e *Engine) Plan(ctx context.Context, objs []*unstructured.Unstructured, opts Options) ([]PlannedChange, error) {
	r, err := e.beginWith(objs, opts)
	if err != nil {
		return nil, err
	}
	unplaced := make(map[*item]*Error)
	for _, it := range r.set {
		if err := it.place(r.clients); err != nil {
			unplaced[it] = err
		}
	}
	return r.planEach(r.set, func(it *item) (PlannedChange, *Error) { return r.plan(ctx, it, unplaced[it]) })
}

// PlanPrune tells what Prune would do with objects, in its order, without changing anything. Its errors are like those of Plan.
func (e *Engine) PlanPrune(ctx context.Context, refs []kube.Ref, opts Options) ([]PlannedChange, error) {
	r, err := e.begin(opts)
	if err != nil {
		return nil, err
	}
	return r.planEach(doomed(refs), func(it *item) (PlannedChange, *Error) { return r.planPrune(ctx, it) })
}

// planEach plans for all items at once, and returns what succeeded in their order.
func (r *run) planEach(items []*item, fn func(*item) (PlannedChange, *Error)) ([]PlannedChange, error) {
	var mu sync.Mutex
	plan := make(map[*item]PlannedChange, len(items))
	err := r.each(items, func(it *item) *Error {
		p, err := fn(it)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			plan[it] = p
		}
		return err
	})
	var out []PlannedChange
	for _, it := range items {
		if p, ok := plan[it]; ok {
			out = append(out, p)
		}
	}
	return out, err
}

func (r *run) plan(ctx context.Context, it *item, unplaced *Error) (PlannedChange, *Error) {
	if unplaced != nil {
		if _, defined := r.definition(it); defined && unplaced.Reason == ReasonKindMissing {
			return r.planned(it, Created, nil, it.obj, "its kind is defined in the same set")
		}
		return PlannedChange{}, unplaced
	}
	live, err := r.body(ctx, it.mapping, it.ref)
	if apierrors.IsNotFound(err) {
		live, err = nil, nil
	}
	if err != nil {
		return PlannedChange{}, r.explain(it, "get", err)
	}
	if why := r.planSkip(it, live); why != "" {
		return r.planned(it, Skipped, live, live, why)
	}
	if live != nil && len(it.ignored) > 0 {
		if err := it.fit(live, r.opts.Manager); err != nil {
			return PlannedChange{}, invalid(it.ref, err.Error())
		}
	}
	after, err := r.preview(ctx, it)
	switch {
	case missingNamespace(err) && r.inSet(kube.Ref{Kind: namespaceKind.Kind, Name: it.ref.Namespace}):
		return r.planned(it, Created, nil, it.obj, "its namespace is created by the same set")
	case err != nil && r.replaceable(it, err):
		return r.planned(it, Recreated, live, it.obj, "")
	case err != nil:
		refused := r.explain(it, "patch", err)
		refused.Found = live != nil
		return PlannedChange{}, refused
	case live == nil:
		return r.planned(it, Created, nil, after, "")
	}
	p, problem := r.planned(it, Configured, live, after, "")
	if r.inspect(live).Overridden && !it.merge {
		p.Action, p.Note = Configured, "fields that were set with kubectl and that the set doesn't have are removed"
	}
	return p, problem
}

func (r *run) planPrune(ctx context.Context, it *item) (PlannedChange, *Error) {
	skipped := PlannedChange{Ref: it.ref, Action: Skipped}
	served, problem := r.find(it)
	if problem != nil {
		return skipped, problem
	}
	if !served {
		skipped.Note = kindGone
		return skipped, nil
	}
	live, err := r.body(ctx, it.mapping, it.ref)
	if apierrors.IsNotFound(err) {
		skipped.Note = alreadyGone
		return skipped, nil
	}
	if err != nil {
		return skipped, r.explain(it, "get", err)
	}
	if skipped.Note = Kept(r.opts.Owner, live); skipped.Note != "" {
		return skipped, nil
	}
	return r.planned(it, Deleted, live, nil, "")
}

func (r *run) planSkip(it *item, live *unstructured.Unstructured) string {
	switch {
	case it.ignore, live != nil && r.inspect(live).Paused:
		return "an annotation asks that it be left alone"
	case it.once && live != nil:
		return "it exists, and is only ever created"
	}
	return ""
}

func (r *run) inSet(ref kube.Ref) bool {
	return slices.ContainsFunc(r.set, func(it *item) bool { return it.ref.Unversioned() == ref })
}

func (r *run) planned(it *item, action Action, before, after *unstructured.Unstructured, note string) (PlannedChange, *Error) {
	live, next := before, after
	before, after = presentable(before), presentable(after)
	if it.ref.GroupKind() == secretKind {
		maskPair(before, after)
	}
	p := PlannedChange{Ref: it.ref, Action: action, Note: note, Live: live, Next: next}
	var err error
	if p.Before, err = text(before); err == nil {
		p.After, err = text(after)
	}
	if err != nil {
		return p, invalid(it.ref, "can't be written as YAML: "+err.Error())
	}
	if action == Configured && p.Before == p.After {
		p.Action = Unchanged
	}
	return p, nil
}

// presentable returns a copy of an object without what says nothing to people.
func presentable(obj *unstructured.Unstructured) *unstructured.Unstructured {
	if obj == nil {
		return nil
	}
	return kube.Bare(obj, []string{"status"}, []string{"metadata", "annotations", lastApplied}) // that holds the data of Secrets once more
}

func text(obj *unstructured.Unstructured) (string, error) {
	if obj == nil {
		return "", nil
	}
	raw, err := yaml.Marshal(obj.Object)
	return string(raw), err
}
