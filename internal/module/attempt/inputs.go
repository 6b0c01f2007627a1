package attempt

import (
	"context"
	"slices"
	"sync"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// inputs knows which modules read which objects of the agent's namespace. The zero value is ready.
type inputs struct {
	mu      sync.Mutex
	readers map[kube.Ref][]string
}

// set replaces what a module reads.
func (i *inputs) set(module string, refs []kube.Ref) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.readers == nil {
		i.readers = map[kube.Ref][]string{}
	}
	for ref, modules := range i.readers {
		if modules = slices.DeleteFunc(modules, func(m string) bool { return m == module }); len(modules) == 0 {
			delete(i.readers, ref)
		} else {
			i.readers[ref] = modules
		}
	}
	for _, ref := range refs {
		i.readers[ref.Unversioned()] = append(i.readers[ref.Unversioned()], module)
	}
}

// of lists the modules that read an object.
func (i *inputs) of(ref kube.Ref) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.readers[ref.Unversioned()])
}

// readBy lists the objects that decide what a module wants: values and its catalogue.
func readBy(m *v1alpha1.Module, namespace string) []kube.Ref {
	var refs []kube.Ref
	for _, from := range m.Spec.ValuesFrom {
		refs = append(refs, kube.Ref{Version: "v1", Kind: from.Kind, Namespace: namespace, Name: from.Name})
	}
	if c := m.Spec.Catalogue; c != nil && c.ConfigMap != nil {
		refs = append(refs, kube.Ref{Version: "v1", Kind: "ConfigMap", Namespace: namespace, Name: c.ConfigMap.Name})
	}
	return refs
}

// watchInputs has the module looked at when something changes that it reads. What can't be watched is looked at with the interval.
func (t *task) watchInputs(ctx context.Context) {
	refs := readBy(t.m, t.Namespace)
	t.inputs.set(t.m.Name, refs)
	unwatched, err := t.Pool.EnsureInputs(ctx, t.m.Name, kube.Identity{}, refs)
	if err == nil && len(unwatched) > 0 {
		t.log.V(1).Info("Can't watch all that the module reads", "objects", len(unwatched))
	}
}
