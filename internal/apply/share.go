package apply

import (
	"bytes"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

// share is who owns what at one place of an object: the fields below it that we applied and nobody else did, and those that anybody
// owns. The zero value is a place where nobody owns anything.
type share struct {
	mine, any *fieldpath.Set
	// mineAll and anyAll: it is owned with all that is below it.
	mineAll, anyAll bool
}

// shareOf reads the managedFields of an object.
func shareOf(entries []metav1.ManagedFieldsEntry, manager, apiVersion string) (share, error) {
	ours, theirs, all := &fieldpath.Set{}, &fieldpath.Set{}, &fieldpath.Set{}
	for _, e := range entries {
		if e.FieldsV1 == nil {
			continue
		}
		one := &fieldpath.Set{}
		if err := one.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())); err != nil {
			return share{}, fmt.Errorf("has managedFields that can't be read: %w", err)
		}
		all = all.Union(one)
		switch {
		case e.Operation != metav1.ManagedFieldsOperationApply || e.Subresource != "":
		case !observe.Ours(e, manager):
			theirs = theirs.Union(one)
		case e.APIVersion == apiVersion:
			ours = ours.Union(one)
		}
	}
	return share{mine: ours.Difference(theirs), any: all}, nil
}

// descend returns the share below an element of a path.
func (s share) descend(pe fieldpath.PathElement) share {
	var out share
	out.mine, out.mineAll = below(s.mine, s.mineAll, pe)
	out.any, out.anyAll = below(s.any, s.anyAll, pe)
	return out
}

func below(set *fieldpath.Set, all bool, pe fieldpath.PathElement) (*fieldpath.Set, bool) {
	if all || set == nil {
		return nil, all
	}
	if children, ok := set.Children.Get(pe); ok {
		return children, false
	}
	return nil, set.Members.Has(pe)
}

// extract returns what is ours of a value of the cluster.
func (s share) extract(live any) (mine any, some bool) {
	switch {
	case s.mineAll:
		return live, true
	case s.mine == nil:
		return nil, false
	}
	switch v := live.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			if part, ok := s.descend(fieldpath.PathElement{FieldName: &key}).extract(value); ok {
				out[key] = part
			}
		}
		return out, len(out) > 0
	case []any:
		var out []any
		for i, item := range v {
			for _, pe := range elements(s.mine) {
				if !leads(pe, item, i) {
					continue
				}
				if part, ok := s.descend(pe).extract(item); ok {
					out = append(out, part)
				}
				break
			}
		}
		return out, len(out) > 0
	}
	return live, true
}

// sameItem finds the item of a list of the cluster that item, the i-th one of the list that is to be applied, stands for.
func (s share) sameItem(item any, live []any, i int) (any, share) {
	if s.mineAll || s.any == nil {
		if i < len(live) {
			return live[i], s
		}
		return nil, share{}
	}
	for _, pe := range elements(s.any) {
		if !leads(pe, item, i) {
			continue
		}
		for j, other := range live {
			if leads(pe, other, j) {
				return other, s.descend(pe)
			}
		}
	}
	return nil, share{}
}

// elements are the path elements right below a set.
func elements(s *fieldpath.Set) []fieldpath.PathElement {
	var out []fieldpath.PathElement
	add := func(pe fieldpath.PathElement) { out = append(out, pe) }
	s.Children.Iterate(add)
	s.Members.Iterate(add)
	return out
}

// leads tells whether a path element leads to an item of a list, the i-th.
func leads(pe fieldpath.PathElement, item any, i int) bool {
	switch {
	case pe.Key != nil:
		fields, ok := item.(map[string]any)
		if !ok {
			return false
		}
		for _, f := range *pe.Key {
			if have, ok := fields[f.Name]; !ok || !value.Equals(value.NewValueInterface(have), f.Value) {
				return false
			}
		}
		return true
	case pe.Value != nil:
		return value.Equals(value.NewValueInterface(item), *pe.Value)
	case pe.Index != nil:
		return *pe.Index == i
	}
	return false
}
