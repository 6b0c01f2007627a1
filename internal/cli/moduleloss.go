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
	// Namespaces that go with all that is in them.
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
	// Claims are its PersistentVolumeClaims.
	Claims int64 `json:"persistentVolumeClaims"`
	// Unknown says why they can't be counted.
	Unknown string `json:"unknown,omitempty"`
}

// lossOf finds out what goes. It reads, and changes nothing.
func (c *cluster) lossOf(ctx context.Context, m *v1alpha1.Module, definitions v1alpha1.DefinitionsPolicy) (*moduleLoss, error) {
	loss := &moduleLoss{Module: m.Name, Version: currentVersion(m), Definitions: cmp.Or(definitions, definitionsPolicy(m))}
	objects, err := c.objectsOf(ctx, m)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, obj := range objects {
		switch obj.GetKind() {
		case crdKind:
			loss.Kinds = append(loss.Kinds, c.defined(ctx, obj, loss.Definitions == v1alpha1.DeleteDefinitions))
		case "Namespace":
			loss.Namespaces = append(loss.Namespaces, c.inNamespace(ctx, obj.GetName()))
		default:
			counts[kindWords(obj)]++
		}
	}
	for kind, count := range counts {
		loss.Objects = append(loss.Objects, countedKind{kind, count})
	}
	slices.SortFunc(loss.Objects, func(a, b countedKind) int { return cmp.Compare(a.Kind, b.Kind) })
	loss.Dependants, err = c.dependantsOf(ctx, m)
	return loss, err
}

// objectsOf lists the objects of all revisions of a module that are in the cluster: the current one, and what was begun.
func (c *cluster) objectsOf(ctx context.Context, m *v1alpha1.Module) ([]*unstructured.Unstructured, error) {
	var names []string
	if m.Status.Current != nil {
		names = append(names, m.Status.Current.Revision)
	}
	if attempt := m.Status.Attempt; attempt != nil {
		names = append(append(names, attempt.Over...), attempt.Target.Revision)
	}
	reader := newModuleObjects(c)
	seen := map[kube.Ref]bool{}
	var all []*unstructured.Unstructured
	for _, name := range names {
		if name == "" {
			continue
		}
		r, err := reader.load(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read revision %s: %w", name, err)
		}
		for _, step := range r.Steps {
			for _, obj := range step.Objects {
				if ref := kube.RefOf(obj); !seen[ref] {
					seen[ref] = true
					all = append(all, obj)
				}
			}
		}
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

// inNamespace counts what holds data in a namespace.
func (c *cluster) inNamespace(ctx context.Context, name string) lostNamespace {
	out := lostNamespace{Name: name}
	var err error
	if out.Claims, err = c.count(ctx, corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), client.InNamespace(name)); err != nil {
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
		o := &list.Items[i]
		all = append(all, wanted.Module{Name: o.Name, Requires: o.Spec.DependsOn, Version: currentVersion(o), Deleting: !o.DeletionTimestamp.IsZero()})
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
		what := fmt.Sprintf("namespace %s with all that is in it, and %d PersistentVolumeClaims", ns.Name, ns.Claims)
		if ns.Unknown != "" {
			what = fmt.Sprintf("namespace %s with all that is in it (%s)", ns.Name, oneLine(ns.Unknown))
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
