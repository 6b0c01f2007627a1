package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

const (
	// page and maxLive bound how many objects of a kind are looked at to find who uses a version.
	page    = 500
	maxLive = 10_000
	// maxFindings is how many findings are told of one definition.
	maxFindings = 200
)

// learn reads the definitions of the cluster, if the package has any, or had.
func learn(ctx context.Context, d *draft) error {
	d.live = map[string]*apiextensionsv1.CustomResourceDefinition{}
	all := d.objects
	if d.current != nil {
		all = slices.Concat(all, revision.Objects(d.current.Steps))
	}
	if !slices.ContainsFunc(all, isDefinition) {
		return nil
	}
	var err error
	if d.called, err = d.survey.called(ctx, d.since); err == nil {
		err = d.readDefinitions(ctx, all)
	}
	if apierrors.IsForbidden(err) {
		d.problem(CheckDefinitions, "", "the cluster's definitions of kinds can't be read, so that nobody knows what the package's do: allow get and list on customresourcedefinitions")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read definitions of kinds: %w", err)
	}
	return nil
}

// readDefinitions reads those definitions of the cluster that are among objects.
func (d *draft) readDefinitions(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		if !isDefinition(o) || d.live[o.GetName()] != nil {
			continue
		}
		live, err := d.survey.definition(ctx, o.GetName())
		if err != nil {
			return err
		}
		if live != nil {
			d.live[live.Name] = live
		}
	}
	return nil
}

// definitions judges what the changed definitions of kinds do, forwards and backwards.
func definitions(ctx context.Context, d *draft) error {
	next := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, o := range d.objects {
		if !isDefinition(o) {
			continue
		}
		parsed, err := crd.FromObject(o)
		if err != nil {
			d.problem(CheckDefinitions, kube.RefOf(o).Subject(), "%s: ask the package's author to correct it", err)
			continue
		}
		next[parsed.Name] = parsed
	}
	names := slices.Collect(maps.Keys(next))
	for _, c := range d.gone {
		if c.Live != nil && isDefinition(c.Live) {
			names = append(names, c.Ref.Name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := d.compare(ctx, name, next[name]); err != nil {
			return err
		}
	}
	return nil
}

func isDefinition(o *unstructured.Unstructured) bool {
	return o.GetKind() == crdKind && o.GroupVersionKind().Group == apiextensionsv1.GroupName
}

// compare judges one definition.
func (d *draft) compare(ctx context.Context, name string, next *apiextensionsv1.CustomResourceDefinition) error {
	object, live := crdKind+"/"+name, d.live[name]
	if live == nil && next == nil {
		return nil
	}
	used, count, err := d.uses(ctx, live, next)
	if err != nil {
		return err
	}
	declared, _ := d.declared()
	report, err := crd.Compare(crd.Change{Live: live, Next: next, Used: used, Others: d.called, ConvertsBack: declared})
	if err != nil {
		d.problem(CheckDefinitions, object, "%s", err)
		return nil
	}
	if len(report.Findings) > 0 {
		if d.plan.Definitions == nil {
			d.plan.Definitions = map[string][]crd.Finding{}
		}
		d.plan.Definitions[name] = report.Findings[:min(len(report.Findings), maxFindings)] // the gravest come first
	}
	if next == nil && count == 0 {
		return nil // nothing goes with it
	}
	for _, f := range report.Findings {
		where := strings.TrimSpace(f.Version + " " + f.Path)
		if where != "" {
			where += ": "
		}
		switch f.Severity {
		case crd.Unsafe:
			d.problem(CheckDefinitions, object, "%s%s (%s)", where, f.Message, f.Code)
		case crd.Irreversible:
			d.irreversible("%s: %s%s (%s)", object, where, f.Message, f.Code)
		}
	}
	if next == nil {
		return nil
	}
	if _, err := crd.TwoStep(live, next); err != nil {
		d.problem(CheckDefinitions, object, "%s: upgrade first to a version of the package that still has it", err)
	}
	return nil
}

// declared is whether the package's author says that one can go back from it to what is installed.
func (d *draft) declared() (bool, string) {
	if d.pkg.Reversible == nil {
		return false, ""
	}
	from := ""
	if d.module.Status.Current != nil {
		from = d.module.Status.Current.Version
	}
	return d.pkg.Reversible(from)
}

// uses finds out who works with versions that the next definition doesn't serve any more, and how many objects there are at all.
func (d *draft) uses(ctx context.Context, live, next *apiextensionsv1.CustomResourceDefinition) (uses []crd.Use, objects int, err error) {
	if live == nil {
		return nil, 0, nil
	}
	ends := map[string]bool{}
	served := ""
	for _, v := range live.Spec.Versions {
		if !v.Served {
			continue
		}
		served = cmp.Or(served, v.Name)
		if next == nil || !serves(next, v.Name) {
			ends[v.Name] = true
		}
	}
	if len(ends) == 0 || served == "" {
		return nil, 0, nil
	}
	by := map[string][]string{}
	if objects, err = d.writers(ctx, live, served, ends, by); err != nil {
		return nil, 0, err
	}
	for _, v := range slices.Sorted(maps.Keys(by)) {
		uses = append(uses, crd.Use{Version: v, By: fmt.Sprintf("%d objects (the first is %s)", len(by[v]), by[v][0])})
	}
	modules, err := d.otherModules(ctx, live.Spec.Group, live.Spec.Names.Kind, ends)
	return append(uses, modules...), objects, err
}

func serves(d *apiextensionsv1.CustomResourceDefinition, version string) bool {
	return slices.ContainsFunc(d.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == version && v.Served })
}

// writers looks at all objects of a kind, without their content: who wrote them, and in which version. What the module applies itself comes in
// the new version with the upgrade.
func (d *draft) writers(ctx context.Context, live *apiextensionsv1.CustomResourceDefinition, served string, ends map[string]bool, by map[string][]string) (int, error) {
	c, err := d.Clients.For(kube.Identity{})
	if err != nil {
		return 0, err
	}
	resource := schema.GroupVersionResource{Group: live.Spec.Group, Version: served, Resource: live.Spec.Names.Plural}
	count, next := 0, ""
	for {
		list, err := c.Metadata.Resource(resource).List(ctx, metav1.ListOptions{Limit: page, Continue: next})
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return count, nil // defined, and not served yet
		}
		if apierrors.IsForbidden(err) {
			d.problem(CheckDependants, crdKind+"/"+live.Name, "its objects can't be read, so that nobody knows who uses versions that go: allow list on %s", resource.GroupResource())
			return count, nil
		}
		if err != nil {
			return count, fmt.Errorf("list %s: %w", resource.GroupResource(), err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			name := strings.TrimPrefix(o.Namespace+"/"+o.Name, "/")
			for version := range versionsOf(o, live.Spec.Group, Manager(d.module.Name)) {
				if ends[version] {
					by[version] = append(by[version], name)
				}
			}
		}
		count += len(list.Items)
		if next = list.Continue; next == "" {
			return count, nil
		}
		if count >= maxLive {
			d.plan.Unseen = append(d.plan.Unseen, fmt.Sprintf("in which versions more than the first %d %s were written", count, resource.GroupResource()))
			return count, nil
		}
	}
}

// versionsOf are the versions in which people and controllers wrote an object, but for one.
func versionsOf(o *metav1.PartialObjectMetadata, group, except string) map[string]bool {
	versions := map[string]bool{}
	for _, e := range o.ManagedFields {
		gv, err := schema.ParseGroupVersion(e.APIVersion)
		if err == nil && gv.Group == group && e.Manager != except && e.Subresource == "" {
			versions[gv.Version] = true
		}
	}
	return versions
}
