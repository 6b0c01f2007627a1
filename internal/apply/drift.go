package apply

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// FieldDrift is a field that is not as it was applied. Its value is not kept: it may be a secret.
type FieldDrift struct {
	// Path as the API server writes it, such as .spec.template.spec.containers[name="app"].image.
	Path string
	// By names the field managers that own the field now; "" where it was removed.
	By string
}

// tolerated tells whether the drift of an item is left as it is.
func (r *run) tolerated(it *item) bool {
	switch it.mode {
	case observe.ModeIgnore:
		return true
	case observe.ModeWarn:
		return !r.opts.Correct
	}
	return false
}

// examine looks at the drift that items are left with. An item whose values are all as they should be, although somebody else wrote some,
// is written after all: that only makes them ours again.
func (r *run) examine(ctx context.Context, items []*item) error {
	return r.each(pick(items, func(it *item) bool { return it.stance == leave }), func(it *item) *Error {
		if it.mode == observe.ModeIgnore {
			return nil
		}
		live, err := r.body(ctx, it.mapping, it.ref)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return r.explain(it, "get", err)
		}
		if len(it.ignored) > 0 {
			if err := it.fit(live, r.opts.Manager); err != nil {
				return invalid(it.ref, err.Error())
			}
		}
		after, err := r.preview(ctx, it)
		if err != nil {
			return r.refused(it, err)
		}
		it.exists = true
		if it.fields, err = differences(live, after, r.opts.Manager); err != nil {
			return invalid(it.ref, err.Error())
		}
		if len(it.fields) == 0 {
			it.stance = restore
		}
		return nil
	})
}

// differences returns the fields of live that differ from what an apply would make of them, and those that kubectl added.
func differences(live, after *unstructured.Unstructured, manager string) ([]FieldDrift, error) {
	ours := &fieldpath.Set{}
	for _, e := range after.GetManagedFields() {
		if observe.Ours(e, manager) {
			one, err := fieldsIn(e)
			if err != nil {
				return nil, err
			}
			ours = ours.Union(one)
		}
	}
	owners := map[string]*fieldpath.Set{}
	added := &fieldpath.Set{}
	for _, e := range live.GetManagedFields() {
		one, err := fieldsIn(e)
		if err != nil {
			return nil, err
		}
		if !observe.Ours(e, manager) {
			owners[e.Manager] = one.Union(owned(owners, e.Manager))
		}
		if observe.Overrides(e) {
			added = added.Union(one)
		}
	}
	var out []FieldDrift
	note := func(path fieldpath.Path) {
		var by []string
		for manager, fields := range owners {
			if fields.Has(path) {
				by = append(by, manager)
			}
		}
		slices.Sort(by)
		out = append(out, FieldDrift{Path: path.String(), By: strings.Join(by, ", ")})
	}
	ours.Leaves().Iterate(func(path fieldpath.Path) {
		was, there := resolve(after.Object, path)
		is, still := resolve(live.Object, path)
		if there != still || !reflect.DeepEqual(was, is) {
			note(path.Copy())
		}
	})
	added.Difference(ours).Leaves().Iterate(func(path fieldpath.Path) {
		if path.String() != `.metadata.annotations.`+lastApplied {
			note(path.Copy())
		}
	})
	return out, nil
}

func owned(owners map[string]*fieldpath.Set, manager string) *fieldpath.Set {
	if have := owners[manager]; have != nil {
		return have
	}
	return &fieldpath.Set{}
}

func fieldsIn(e metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	one := &fieldpath.Set{}
	if e.FieldsV1 == nil {
		return one, nil
	}
	if err := one.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
		return nil, fmt.Errorf("has managedFields that can't be read: %w", err)
	}
	return one, nil
}

// resolve returns the value at a path.
func resolve(obj any, path fieldpath.Path) (any, bool) {
	for _, pe := range path {
		switch at := obj.(type) {
		case map[string]any:
			if pe.FieldName == nil {
				return nil, false
			}
			next, ok := at[*pe.FieldName]
			if !ok {
				return nil, false
			}
			obj = next
		case []any:
			i := slices.IndexFunc(at, func(item any) bool { return leads(pe, item, -1) })
			if pe.Index != nil {
				i = *pe.Index
			}
			if i < 0 || i >= len(at) {
				return nil, false
			}
			obj = at[i]
		default:
			return nil, false
		}
	}
	return obj, true
}

// Mode is what becomes of the drift of an object: what the object in the cluster asks for, or what it asked for when it was applied.
// ModeUnset: neither does.
func (e *Engine) Mode(owner Owner, ref kube.Ref) observe.Mode {
	s, exists, _ := e.observer.Get(ref)
	m, _ := e.memory.get(owner.withDefaults(), ref)
	if exists {
		return s.Drift.Or(m.mode)
	}
	return m.mode
}
