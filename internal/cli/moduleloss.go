package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/attempt"
	"github.com/slipway-dev/slipway/internal/module/revision"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// moduleLoss is what goes when a module is uninstalled.
type moduleLoss struct {
	Module  string `json:"module"`
	Version string `json:"version,omitempty"`
	// Definitions says what becomes of definitions and their objects.
	Definitions v1alpha1.DefinitionsPolicy `json:"definitions"`
	// Objects of the module that go, by kind.
	Objects []countedKind `json:"objects,omitempty"`
	// Kinds that the module has defined, with how many objects there are of each.
	Kinds []definedKind `json:"kinds,omitempty"`
	// Namespaces of the module.
	Namespaces []lostNamespace `json:"namespaces,omitempty"`
	// Dependants are modules that require this one.
	Dependants []string `json:"dependants,omitempty"`
	// Stays says what goes on without the Module, where that is all of it.
	Stays string `json:"stays,omitempty"`
}

// countedKind is a kind, and how many objects of it go.
type countedKind struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

// definedKind is a kind that the module has defined.
type definedKind struct {
	Definition string `json:"definition"`
	Kind       string `json:"kind"`
	// Count is how many objects there are.
	Count int64 `json:"count"`
	// Goes says that they are deleted with the definition.
	Goes bool `json:"goes"`
	// Unknown says why they can't be counted.
	Unknown string `json:"unknown,omitempty"`
}

// lostNamespace is a namespace of the module.
type lostNamespace struct {
	Name string `json:"name"`
	// Stays says why it stays; empty: it goes with all that is in it.
	Stays string `json:"stays,omitempty"`
	// Unsure says why it may stay after all.
	Unsure string `json:"unsure,omitempty"`
	// Claims are the PersistentVolumeClaims that go with it.
	Claims int64 `json:"persistentVolumeClaims"`
}

// lossOf finds out what goes. It reads, and changes nothing.
func (c *cluster) lossOf(ctx context.Context, m *v1alpha1.Module, definitions v1alpha1.DefinitionsPolicy) (*moduleLoss, error) {
	loss := &moduleLoss{Module: m.Name, Version: currentVersion(m), Definitions: cmp.Or(definitions, definitionsPolicy(m))}
	revisions, err := c.revisionsIn(ctx, m)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	var (
		namespaces, all []kube.Ref
		going           []schema.GroupKind
	)
	seen := map[kube.Ref]bool{}
	for _, obj := range objectsOf(revisions) {
		ref := kube.RefOf(obj)
		if seen[ref.Unversioned()] {
			continue
		}
		seen[ref.Unversioned()] = true
		all = append(all, ref)
		switch obj.GetKind() {
		case crdKind:
			kind := c.defined(ctx, obj, loss.Definitions == v1alpha1.DeleteDefinitions)
			if loss.Kinds = append(loss.Kinds, kind); kind.Goes {
				group, _, _ := unstructured.NestedString(obj.Object, "spec", "group")
				going = append(going, schema.GroupKind{Group: group, Kind: kind.Kind})
			}
		case "Namespace":
			namespaces = append(namespaces, ref)
		default:
			counts[kindWords(obj)]++
		}
	}
	for kind, count := range counts {
		loss.Objects = append(loss.Objects, countedKind{kind, count})
	}
	slices.SortFunc(loss.Objects, func(a, b countedKind) int { return cmp.Compare(a.Kind, b.Kind) })
	if loss.Namespaces, err = c.namespacesOf(ctx, m, namespaces, all, attempt.FoundBy(revisions...), going); err != nil {
		return nil, err
	}
	loss.Dependants, err = c.dependantsOf(ctx, m)
	return loss, err
}

// revisionsIn are the revisions of a module of which something is in the cluster: the current one, and what was begun.
func (c *cluster) revisionsIn(ctx context.Context, m *v1alpha1.Module) ([]*revision.Revision, error) {
	var names []string
	if m.Status.Current != nil {
		names = append(names, m.Status.Current.Revision)
	}
	if begun := m.Status.Attempt; begun != nil {
		names = append(append(names, begun.Over...), begun.Target.Revision)
	}
	reader := newModuleObjects(c)
	var all []*revision.Revision
	for _, name := range names {
		if name == "" {
			continue
		}
		r, err := reader.load(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read revision %s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// objectsOf are the objects of revisions.
func objectsOf(revisions []*revision.Revision) []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, r := range revisions {
		all = append(all, revision.Objects(r.Steps)...)
	}
	return all
}

// namespacesOf says of the namespaces of a module what becomes of them, by the rules by which the agent decides: what the module hasn't made
// stays, and what has something in it that isn't the module's. Those that aren't there are left out.
func (c *cluster) namespacesOf(ctx context.Context, m *v1alpha1.Module, namespaces, ours, found []kube.Ref, going []schema.GroupKind) ([]lostNamespace, error) {
	clients, err := kube.NewClients(c.config)
	if err != nil {
		return nil, err
	}
	var all []lostNamespace
	for _, ref := range namespaces {
		live := &metav1.PartialObjectMetadata{}
		live.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		if err := c.Get(ctx, client.ObjectKey{Name: ref.Name}, live); err != nil {
			if client.IgnoreNotFound(err) == nil {
				continue
			}
			return nil, fmt.Errorf("read namespace %s: %w", ref.Name, err)
		}
		out := lostNamespace{Name: ref.Name}
		switch {
		case slices.ContainsFunc(found, func(f kube.Ref) bool { return f.Unversioned() == ref.Unversioned() }):
			out.Stays = "it was there before the module"
		case live.Labels[attempt.OwnerLabel] != m.Name:
			out.Stays = "it isn't the module's any more"
		default:
			foreign, err := attempt.ForeignIn(ctx, clients, m.Name, ref.Name, ours, going...)
			if err != nil {
				return nil, err
			}
			if len(foreign) > 0 {
				out.Stays = strings.Join(foreign, ", ") + " isn't the module's"
				break
			}
			if out.Stays, out.Unsure, err = c.agentKeeps(ctx, clients, ref.Name, going); err != nil {
				return nil, err
			}
			if out.Stays != "" {
				break
			}
			if out.Claims, err = c.count(ctx, corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), client.InNamespace(ref.Name)); err != nil {
				return nil, err
			}
		}
		all = append(all, out)
	}
	return all, nil
}

// defined counts the objects of a kind that the module has defined.
func (c *cluster) defined(ctx context.Context, definition *unstructured.Unstructured, goes bool) definedKind {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	out := definedKind{Definition: definition.GetName(), Kind: kind, Goes: goes}
	mapping, err := c.RESTMapper().RESTMapping(schema.GroupKind{Group: group, Kind: kind})
	if apimeta.IsNoMatchError(err) {
		return out // the definition isn't there, and neither is any object
	}
	if err == nil {
		out.Count, err = c.count(ctx, mapping.GroupVersionKind)
	}
	if err != nil {
		out.Unknown = err.Error()
	}
	return out
}

// count asks the API server how many objects there are of a kind, without reading them.
func (c *cluster) count(ctx context.Context, gvk schema.GroupVersionKind, opts ...client.ListOption) (int64, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(gvk)
	if err := c.List(ctx, list, append(opts, client.Limit(1))...); err != nil {
		return 0, fmt.Errorf("count %s: %w", gvk.Kind, err)
	}
	n := int64(len(list.Items))
	if list.RemainingItemCount != nil {
		n += *list.RemainingItemCount
	}
	return n, nil
}

// dependantsOf names the modules that require one.
func (c *cluster) dependantsOf(ctx context.Context, m *v1alpha1.Module) ([]string, error) {
	var list v1alpha1.ModuleList
	if err := c.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	var all []wanted.Module
	for i := range list.Items {
		all = append(all, wanted.Of(&list.Items[i]))
	}
	return wanted.Broken(m.Name, "", all), nil
}

func kindWords(obj *unstructured.Unstructured) string {
	gvk := obj.GroupVersionKind()
	if gvk.Group == "" {
		return gvk.Kind
	}
	return gvk.Kind + "." + gvk.Group
}

// lost is how many objects of others go.
func (l *moduleLoss) lost() int64 {
	var n int64
	for _, k := range l.Kinds {
		if k.Goes {
			n += k.Count
		}
	}
	for _, ns := range l.Namespaces {
		n += ns.Claims
	}
	return n
}

func (l *moduleLoss) question() string {
	if n := l.lost(); n > 0 {
		return fmt.Sprintf("Uninstall module %s, and lose %d objects with their data?", l.Module, n)
	}
	return fmt.Sprintf("Uninstall module %s?", l.Module)
}

// printLoss tells people.
func (a *App) printLoss(l *moduleLoss) {
	fmt.Fprintf(a.Out, "Module %s %s\n", a.out.bold(l.Module), l.Version)
	var counts []string
	for _, k := range l.Objects {
		counts = append(counts, fmt.Sprintf("%d %s", k.Count, k.Kind))
	}
	if len(counts) > 0 {
		fmt.Fprintln(a.Out, "Goes:  "+strings.Join(counts, ", "))
	}
	for _, ns := range l.Namespaces {
		if ns.Stays != "" {
			fmt.Fprintf(a.Out, "Stays: namespace %s: %s\n", ns.Name, oneLine(ns.Stays))
			continue
		}
		what := fmt.Sprintf("namespace %s with all that is in it", ns.Name)
		if ns.Claims > 0 {
			what += fmt.Sprintf(", and %d PersistentVolumeClaims", ns.Claims)
		}
		if ns.Unsure != "" {
			what += "; " + oneLine(ns.Unsure)
		}
		fmt.Fprintln(a.Out, a.out.bad("Goes:")+"  "+what)
	}
	for _, k := range l.Kinds {
		what := fmt.Sprintf("definition %s and its %d objects", k.Definition, k.Count)
		if k.Unknown != "" {
			what = fmt.Sprintf("definition %s and its objects (%s)", k.Definition, oneLine(k.Unknown))
		}
		if k.Goes {
			fmt.Fprintln(a.Out, a.out.bad("Goes:")+"  "+what)
		} else {
			fmt.Fprintln(a.Out, "Stays: "+what)
		}
	}
	if l.Stays != "" {
		fmt.Fprintln(a.Out, "Stays: "+l.Stays)
	}
	for _, d := range l.Dependants {
		a.warnf("%s", d)
	}
}
