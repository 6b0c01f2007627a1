package apply

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/kube"
)

// run is one Apply.
type run struct {
	*Engine
	api
	opts Options
	set  []*item

	mu     sync.Mutex
	result *Result
	// undo are the objects that this run created and may take back, while nothing else was written.
	undo []Change
	// conflicts are objects that another owner has taken; they don't hold up the others.
	conflicts []*Error
	// failed are the objects that could not be applied although the others were, waiting those that the set waits for.
	failed  []*Error
	waiting []Wait
	// born are the namespaces and the kinds that this run created: what lives in them can't exist yet.
	bornNamespaces map[string]struct{}
}

// begin prepares a run as the identity of the options.
func (e *Engine) begin(opts Options) (*run, error) {
	opts = opts.withDefaults()
	client, err := e.clients.For(opts.Identity)
	if err != nil {
		return nil, err
	}
	return &run{Engine: e, opts: opts, api: api{client: client, opts: opts, timeout: e.settings.RequestTimeout}, result: &Result{}}, nil
}

// beginWith prepares a run for objects.
func (e *Engine) beginWith(objs []*unstructured.Unstructured, opts Options) (*run, error) {
	r, err := e.begin(opts)
	if err != nil {
		return nil, err
	}
	r.set, err = prepare(objs, r.opts)
	if err != nil && r.opts.Continue {
		r.failed, err = Errors(err), nil
	}
	return r, err
}

func (r *run) phases(ctx context.Context) error {
	r.young, r.bornNamespaces = map[string]struct{}{}, map[string]struct{}{}
	for phase := range phaseCount {
		var items []*item
		for _, it := range r.set {
			if phaseOf(it.ref.GroupKind()) == phase {
				items = append(items, it)
			}
		}
		if len(items) == 0 {
			continue
		}
		if err := r.phase(ctx, items); r.stops(err) {
			return err
		}
		if phase == phaseDefinitions {
			if err := r.established(ctx, items); r.stops(err) {
				return err
			}
		}
	}
	r.setCareful(r.opts.Owner, false)
	if failed := slices.Concat(r.failed, r.conflicts); len(failed) > 0 {
		return joined(failed)
	}
	if len(r.waiting) > 0 {
		return &Incomplete{Waiting: r.waiting}
	}
	return nil
}

// stops tells whether a set ends with an error. Where it need not be valid as a whole, errors about objects are kept for later.
func (r *run) stops(err error) bool {
	if err == nil {
		return false
	}
	about := Errors(err)
	var incomplete *Incomplete
	waits := errors.As(err, &incomplete)
	if !r.opts.Continue || len(about) == 0 && !waits {
		return true
	}
	r.failed = append(r.failed, about...)
	if waits {
		r.waiting = append(r.waiting, incomplete.Waiting...)
	}
	return false
}

// without returns the items that no error is about, when the others go on without those.
func (r *run) without(items []*item, err error) ([]*item, error) {
	if r.stops(err) {
		return nil, err
	}
	if err == nil {
		return items, nil
	}
	about := Errors(err)
	return pick(items, func(it *item) bool {
		return !slices.ContainsFunc(about, func(e *Error) bool { return e.Ref.Unversioned() == it.ref.Unversioned() })
	}), nil
}

// phase applies the items of one phase.
func (r *run) phase(ctx context.Context, items []*item) error {
	items, err := r.without(r.place(items))
	if err != nil {
		return err
	}
	for _, it := range items {
		r.look(it)
	}
	for _, step := range []func(context.Context, []*item) error{r.lookup, r.tailor} {
		if items, err = r.without(items, step(ctx, items)); err != nil {
			return err
		}
	}
	r.weigh(items)
	first := r.unproved(items)
	if items, err = r.without(items, r.prove(ctx, items, first)); err != nil {
		return err
	}
	if items, err = r.without(items, r.examine(ctx, items)); err != nil {
		return err
	}
	return r.write(ctx, items, first)
}

// place finds out how the kinds are served. Kinds whose CRD is in the set may not be served yet.
func (r *run) place(items []*item) ([]*item, error) {
	var failed []*Error
	var placed []*item
	for _, it := range items {
		err := it.place(r.clients)
		if err != nil && err.Reason == ReasonKindMissing {
			if crd, ok := r.definition(it); ok {
				r.clients.Invalidate()
				waiting := &Incomplete{Waiting: []Wait{{Ref: crd, For: "to be established"}}}
				if r.stops(waiting) {
					return nil, waiting
				}
				continue
			}
		}
		if err == nil {
			placed = append(placed, it)
		}
		failed = append(failed, err)
	}
	return placed, joined(failed)
}

// definition returns the CRD of the set that defines the kind of an item.
func (r *run) definition(it *item) (kube.Ref, bool) {
	for _, crd := range r.set {
		if gk, ok := defines(crd); ok && gk == it.ref.GroupKind() {
			return crd.ref, true
		}
	}
	return kube.Ref{}, false
}

// each calls fn for all items at once, as far as concurrency allows, and returns all errors.
func (r *run) each(items []*item, fn func(*item) *Error) error {
	errs := make([]*Error, len(items))
	var g errgroup.Group
	g.SetLimit(r.settings.Concurrency)
	for i, it := range items {
		g.Go(func() error {
			errs[i] = fn(it)
			return nil
		})
	}
	_ = g.Wait() // errors are in errs
	return joined(errs)
}

func (r *run) note(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Changes = append(r.result.Changes, c)
}

func nested(obj *unstructured.Unstructured, fields ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, fields...)
	return s
}
