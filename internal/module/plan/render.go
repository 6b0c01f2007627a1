package plan

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// maxObjects is how many objects a package may have. The largest platforms have some hundred.
const maxObjects = 5000

// render makes the objects, all of those that the attempt would apply, and puts them into steps.
func render(ctx context.Context, d *draft) error {
	d.plan.Namespace = cmp.Or(d.module.Spec.Namespace, d.pkg.Namespace, d.module.Name)
	if wrong := validation.IsDNS1123Label(d.plan.Namespace); len(wrong) > 0 {
		d.problem(CheckRender, "", "%q is no name of a namespace: set spec.namespace of the Module", d.plan.Namespace)
		return errEnough
	}
	objects, err := d.pkg.Render(ctx, Rendering{
		Module: d.module, Namespace: d.plan.Namespace, Name: d.module.Name, KubeVersion: d.served.version, APIVersions: d.served.apis,
		Scope: func(gk schema.GroupKind) (bool, bool) {
			kind, served, err := d.kind(gk)
			return kind.Namespaced, served && err == nil
		},
	})
	if err != nil {
		return d.lasting(CheckRender, err)
	}
	if len(objects) > maxObjects {
		d.problem(CheckRender, "", "the package has %d objects, and at most %d are applied: split it", len(objects), maxObjects)
		return errEnough
	}
	if d.objects, err = d.placed(objects); err != nil {
		return err
	}
	if err := d.namespace(ctx); err != nil {
		return err
	}
	if err := d.interpreters(); err != nil {
		return err
	}
	d.plan.Steps = revision.Split(d.objects)
	d.plan.Digest = revision.Digest(d.plan.Steps)
	d.plan.Gate = gate(d.pkg.Gate, d.module.Spec.Gate)
	if c := d.module.Status.Current; c != nil && d.current != nil && c.Digest == d.plan.Digest {
		return d.same(ctx)
	}
	return nil
}

// same ends a plan for what is installed already. Only the grant counts then: whoever narrows it learns from the plan what goes beyond it.
func (d *draft) same(ctx context.Context) error {
	d.plan.Problems = slices.DeleteFunc(d.plan.Problems, func(p v1alpha1.PlanProblem) bool { return p.Check != CheckPermissions })
	if err := permissions(ctx, d); err != nil {
		return err
	}
	d.plan.Same = true
	d.plan.Permissions, d.plan.AddedPermissions = d.current.Object.Spec.Permissions, nil
	d.plan.Reversible, d.plan.Irreversible = d.current.Object.Spec.Reversible, nil
	return errEnough
}

// placed returns copies of objects with the namespace that they are for, and without what only a server writes.
func (d *draft) placed(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	defined := scopes(objects)
	out := make([]*unstructured.Unstructured, 0, len(objects))
	for _, o := range objects {
		o = kube.Bare(o, []string{"metadata", "ownerReferences"}, []string{"status"})
		gk := o.GroupVersionKind().GroupKind()
		namespaced, known := defined[gk]
		if !known {
			kind, served, err := d.kind(gk)
			if err != nil {
				return nil, err
			}
			namespaced, known = kind.Namespaced, served
		}
		switch {
		case known && !namespaced:
			o.SetNamespace("")
		case known && o.GetNamespace() == "":
			o.SetNamespace(d.plan.Namespace)
		}
		out = append(out, o)
	}
	return out, nil
}

// scopes are the kinds that definitions among the objects define, and whether they have a namespace.
func scopes(objects []*unstructured.Unstructured) map[schema.GroupKind]bool {
	out := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.GetKind() != crdKind {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
		out[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	return out
}

const crdKind = "CustomResourceDefinition"

// namespace adds the module's own namespace, unless it was there before: then it is somebody else's, also where the grant has let an earlier
// revision take it over, and stays as it is. What the grant says of pods holds for all that run in it.
func (d *draft) namespace(ctx context.Context) error {
	name := d.plan.Namespace
	ref := kube.Ref{Kind: "Namespace", Name: name}
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	err := d.Client.Get(ctx, client.ObjectKey{Name: name}, live)
	switch {
	case apierrors.IsNotFound(err):
		d.own = true
	case apierrors.IsForbidden(err):
		d.problem(CheckPermissions, "Namespace/"+name, "can't be read: allow get on namespaces")
		return nil
	case err != nil:
		return fmt.Errorf("read namespace %s: %w", name, err)
	default:
		d.own = !d.found[ref] && (live.Labels[v1alpha1.GroupVersion.Group+"/name"] == d.module.Name || d.known[ref])
	}
	if !d.own {
		return nil
	}
	for _, o := range d.objects {
		if kube.RefOf(o).Unversioned() != ref {
			continue
		}
		if labels := o.GetLabels(); labels[api.EnforceLevelLabel] == "" {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[api.EnforceLevelLabel] = permit.Level(d.grant)
			o.SetLabels(labels)
		}
		return nil
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	ns.SetLabels(map[string]string{api.EnforceLevelLabel: permit.Level(d.grant)})
	d.objects = append(d.objects, ns)
	return nil
}

// interpreters adds those that the package brings, as objects. They may be about kinds that the package defines only, unless the grant lets the
// package have Interpreters: who judges other people's objects decides about other people's upgrades.
func (d *draft) interpreters() error {
	defined := scopes(d.objects)
	priority := int32(interpret.PriorityPackage)
	for _, i := range d.pkg.Interpreters {
		i.Definition.Priority = &priority
		target := i.Definition.Target
		_, own := defined[schema.GroupKind{Group: target.Group, Kind: target.Kind}]
		granted := d.grant != nil && slices.ContainsFunc(d.grant.Spec.ClusterObjects, func(g v1alpha1.GrantedKind) bool {
			return g.Group == v1alpha1.GroupVersion.Group && g.Kind == v1alpha1.InterpreterKind && (len(g.Names) == 0 || slices.Contains(g.Names, i.Name))
		})
		if !own && !granted {
			d.problem(CheckPermissions, "Interpreter/"+i.Name, "is for %s, a kind that the package doesn't define: ask its author to leave it out, "+
				"or list Interpreter in clusterObjects of the grant", target.String())
		}
		d.plan.Interpreters = append(d.plan.Interpreters, i.Definition)
		text, err := json.Marshal(i.Definition)
		if err != nil {
			return fmt.Errorf("write interpreter %s: %w", i.Name, err)
		}
		spec := map[string]any{}
		if err := json.Unmarshal(text, &spec); err != nil {
			return fmt.Errorf("write interpreter %s: %w", i.Name, err)
		}
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.InterpreterKind, "metadata": map[string]any{"name": i.Name}, "spec": whole(spec),
		}}
		d.objects = append(d.objects, o)
	}
	return nil
}

// whole turns numbers without a fraction into whole ones, as objects of the cluster have them.
func whole(value map[string]any) any {
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case float64:
			if n := int64(v); float64(n) == v {
				return n
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		}
		return v
	}
	return walk(value)
}

// gate is the package's gate with the Module's laid over it.
func gate(pkg v1alpha1.Gate, module *v1alpha1.Gate) v1alpha1.Gate {
	out := *pkg.DeepCopy()
	if module == nil {
		return out
	}
	if module.Deadline != nil {
		out.Deadline = module.Deadline
	}
	if module.Soak != nil {
		out.Soak = module.Soak
	}
	for _, c := range module.Checks {
		at := slices.IndexFunc(out.Checks, func(o v1alpha1.Check) bool { return o.Name == c.Name })
		if at >= 0 {
			out.Checks[at] = c
		} else {
			out.Checks = append(out.Checks, c)
		}
	}
	return out
}
