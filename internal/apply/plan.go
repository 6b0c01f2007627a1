package apply

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/kube"
)

// PlannedChange is what Apply would do with an object.
type PlannedChange struct {
	Ref kube.Ref
	// Action is Created, Configured, Unchanged, Recreated or Skipped.
	Action Action
	// Before and After are the object in the cluster, now and after an apply, as YAML without what the API server adds for itself.
	// Before is empty when the object doesn't exist. The data of Secrets is masked.
	Before, After string
	// Note says why an object would be skipped, or that its namespace or kind has to be created first and it could not be checked.
	Note string
}

// Plan tells what Apply would do, object by object and in its order, without changing anything. An error is one or several *Error; the
// objects that they are about are missing in the plan.
func (e *Engine) Plan(ctx context.Context, objs []*unstructured.Unstructured, opts Options) ([]PlannedChange, error) {
	opts = opts.withDefaults()
	client, err := e.clients.For(opts.Identity)
	if err != nil {
		return nil, err
	}
	items, err := prepare(objs, opts)
	if err != nil {
		return nil, err
	}
	r := &run{Engine: e, opts: opts, api: api{client: client, opts: opts, timeout: e.settings.RequestTimeout}, set: items, result: &Result{}}
	plan, unplaced := make(map[*item]PlannedChange, len(items)), make(map[*item]*Error)
	for _, it := range items {
		if err := it.place(r.clients); err != nil {
			unplaced[it] = err
		}
	}
	err = r.each(items, func(it *item) *Error {
		p, err := r.plan(ctx, it, unplaced[it])
		if err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
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
	after, err := r.preview(ctx, it)
	switch {
	case missingNamespace(err) && r.inSet(kube.Ref{Kind: namespaceKind.Kind, Name: it.ref.Namespace}):
		return r.planned(it, Created, nil, it.obj, "its namespace is created by the same set")
	case err != nil && r.replaceable(it, err):
		return r.planned(it, Recreated, live, it.obj, "")
	case err != nil:
		return PlannedChange{}, r.explain(it, "patch", err)
	case live == nil:
		return r.planned(it, Created, nil, after, "")
	}
	return r.planned(it, Configured, live, after, "")
}

func (r *run) planSkip(it *item, live *unstructured.Unstructured) string {
	switch {
	case it.ignore:
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
	before, after = presentable(before), presentable(after)
	if it.ref.GroupKind() == secretKind {
		maskPair(before, after)
	}
	p := PlannedChange{Ref: it.ref, Action: action, Note: note}
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
	out := obj.DeepCopy()
	for _, f := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(out.Object, "metadata", f)
	}
	unstructured.RemoveNestedField(out.Object, "metadata", "annotations", lastApplied) // holds the data of Secrets once more
	unstructured.RemoveNestedField(out.Object, "status")
	return out
}

func text(obj *unstructured.Unstructured) (string, error) {
	if obj == nil {
		return "", nil
	}
	raw, err := yaml.Marshal(obj.Object)
	return string(raw), err
}
