package apply

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// weigh finds the items that are new and have no effect before the rest of the set is there. They are written first, without a dry-run,
// and taken back should the rest be refused.
func (r *run) weigh(items []*item) {
	if r.opts.Continue || r.careful(r.opts.Owner) {
		return
	}
	for _, it := range items {
		it.light = it.stance == create && (it.inert() || leadsNowhere(it, items))
	}
}

// introduce creates a light item. One that exists already, which no watch shows where it has no owner label, is left as it is and not
// light any more: it has to be proved with the rest, as what others have made can't be taken back.
func (r *run) introduce(ctx context.Context, it *item) *Error {
	got, err := r.create(ctx, it)
	if errors.Is(err, errExists) {
		it.light, it.stance = false, change
		return nil
	}
	if err != nil {
		return r.refused(it, err)
	}
	return r.record(ctx, it, got, r.actionOf(it, got))
}

// bodyAt returns the body with a resource version.
func (it *item) bodyAt(resourceVersion string) ([]byte, error) {
	metadata, _ := it.obj.Object["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	metadata["resourceVersion"] = resourceVersion
	obj := maps.Clone(it.obj.Object)
	obj["metadata"] = metadata
	return json.Marshal(obj)
}

// inert tells whether a new object of this kind has no effect on what runs.
func (it *item) inert() bool {
	switch it.ref.GroupKind() {
	case configMapKind, secretKind, accountKind, roleKind, bindingKind:
		return true
	case serviceKind:
		spec, _, _ := unstructured.NestedMap(it.obj.Object, "spec")
		kind, _ := spec["type"].(string)
		_, external := spec["externalIPs"]
		return !external && (kind == "" || kind == "ClusterIP")
	}
	return false
}

// leadsNowhere tells whether an item is an Ingress whose Services are all new in the same set: nothing answers behind them, and whoever asks
// gets no other answer than in the moments before the first pod of a rollout is ready.
func leadsNowhere(it *item, items []*item) bool {
	if it.ref.GroupKind() != ingressKind {
		return false
	}
	services := backends(it.obj)
	return len(services) > 0 && !slices.ContainsFunc(services, func(name string) bool {
		return !slices.ContainsFunc(items, func(o *item) bool {
			return o.ref.GroupKind() == serviceKind && o.ref.Name == name && o.ref.Namespace == it.ref.Namespace && o.stance == create && o.inert()
		})
	})
}

// backends are the names of the Services that an Ingress leads to; "" stands for something else than a Service.
func backends(ingress *unstructured.Unstructured) []string {
	var names []string
	add := func(backend map[string]any) {
		name, _, _ := unstructured.NestedString(backend, "service", "name")
		names = append(names, name)
	}
	if backend, found, _ := unstructured.NestedMap(ingress.Object, "spec", "defaultBackend"); found {
		add(backend)
	}
	rules, _, _ := unstructured.NestedSlice(ingress.Object, "spec", "rules")
	for _, rule := range rules {
		fields, _ := rule.(map[string]any)
		paths, _, _ := unstructured.NestedSlice(fields, "http", "paths")
		for _, path := range paths {
			fields, _ := path.(map[string]any)
			backend, _, _ := unstructured.NestedMap(fields, "backend")
			add(backend)
		}
	}
	return names
}
