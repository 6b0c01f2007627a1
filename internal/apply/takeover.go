package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

// lastApplied is where kubectl keeps what it applied from the client's side.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// takeOverTries is how often the ownership of fields is rewritten when the object changes meanwhile.
const takeOverTries = 3

// takeOver takes back what people changed with kubectl, as Flux does: the fields that kubectl owns become ours, and the apply that
// follows removes those that the set doesn't have. got is the answer to our last apply.
func (r *run) takeOver(ctx context.Context, it *item, got answer) (answer, error) {
	head := &got.PartialObjectMetadata
	for range takeOverTries {
		body, err := ownership(head, r.opts.Manager)
		if err != nil {
			return got, fmt.Errorf("take fields over from kubectl: %w", err)
		}
		_, err = r.patch(ctx, it.mapping, it.ref, body)
		if err == nil {
			return r.sendAgain(ctx, it)
		}
		if !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			return got, err
		}
		if head, err = r.head(ctx, it.mapping, it.ref); err != nil {
			return got, err
		}
	}
	return got, apierrors.NewConflict(it.mapping.Resource.GroupResource(), it.ref.Name, fmt.Errorf("fields could not be taken over from kubectl"))
}

// sendAgain writes an item whose ownership of fields has changed.
func (r *run) sendAgain(ctx context.Context, it *item) (answer, error) {
	if len(it.ignored) > 0 {
		if e := r.tailorOne(ctx, it); e != nil {
			return answer{}, e
		}
	}
	return r.send(ctx, it)
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// ownership returns the JSON patch that makes all that kubectl owns of an object the manager's, for this very resource version.
func ownership(obj *metav1.PartialObjectMetadata, manager string) ([]byte, error) {
	entries, err := merged(obj.ManagedFields, manager)
	if err != nil {
		return nil, err
	}
	ops := []operation{
		{Op: "replace", Path: "/metadata/resourceVersion", Value: obj.ResourceVersion},
		{Op: "replace", Path: "/metadata/managedFields", Value: entries},
	}
	if _, ok := obj.Annotations[lastApplied]; ok {
		ops = append(ops, operation{Op: "remove", Path: "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"})
	}
	return json.Marshal(ops)
}

// merged returns managedFields in which the entries of kubectl are part of the manager's. One for another version of the API can't be
// merged, and becomes an entry of the manager's of its own.
func merged(entries []metav1.ManagedFieldsEntry, manager string) ([]metav1.ManagedFieldsEntry, error) {
	var out, theirs []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if observe.Overrides(e) {
			theirs = append(theirs, e)
		} else {
			out = append(out, e)
		}
	}
	for _, e := range theirs {
		i := indexOf(out, manager, e.APIVersion)
		if i < 0 {
			e.Manager, e.Operation = manager, metav1.ManagedFieldsOperationApply
			out = append(out, e)
			continue
		}
		fields, err := union(out[i].FieldsV1, e.FieldsV1)
		if err != nil {
			return nil, err
		}
		out[i].FieldsV1 = fields
	}
	return out, nil
}

func indexOf(entries []metav1.ManagedFieldsEntry, manager, apiVersion string) int {
	for i, e := range entries {
		if observe.Ours(e, manager) && e.APIVersion == apiVersion {
			return i
		}
	}
	return -1
}

func union(a, b *metav1.FieldsV1) (*metav1.FieldsV1, error) {
	all := &fieldpath.Set{}
	for _, f := range []*metav1.FieldsV1{a, b} {
		if f == nil {
			continue
		}
		one := &fieldpath.Set{}
		if err := one.FromJSON(bytes.NewReader(f.GetRawBytes())); err != nil {
			return nil, fmt.Errorf("read managedFields: %w", err)
		}
		all = all.Union(one)
	}
	raw, err := all.ToJSON()
	if err != nil {
		return nil, fmt.Errorf("write managedFields: %w", err)
	}
	return metav1.NewFieldsV1(string(raw)), nil
}
