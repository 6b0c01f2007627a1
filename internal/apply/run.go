package apply

import (
	"context"
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
		if err := r.phase(ctx, items); err != nil {
			return err
		}
		if phase == phaseDefinitions {
			if err := r.established(ctx, items); err != nil {
				return err
			}
		}
	}
	r.setCareful(r.opts.Owner, false)
	return joined(r.conflicts)
}

// phase applies the items of one phase.
func (r *run) phase(ctx context.Context, items []*item) error {
	if err := r.place(items); err != nil {
		return err
	}
	for _, it := range items {
		r.look(it)
	}
	if err := r.lookup(ctx, items); err != nil {
		return err
	}
	if err := r.tailor(ctx, items); err != nil {
		return err
	}
	first := r.unproved(items)
	if err := r.prove(ctx, items, first); err != nil {
		return err
	}
	return r.write(ctx, items, first)
}

// place finds out how the kinds are served. Kinds whose CRD is in the set may not be served yet.
func (r *run) place(items []*item) error {
	var failed []*Error
	for _, it := range items {
		err := it.place(r.clients)
		if err != nil && err.Reason == ReasonKindMissing {
			if crd, ok := r.definition(it); ok {
				r.clients.Invalidate()
				return &Incomplete{Waiting: []Wait{{Ref: crd, For: "to be established"}}}
			}
		}
		failed = append(failed, err)
	}
	return joined(failed)
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
