package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/revision"
	"github.com/slipway-dev/slipway/internal/module/wanted"
)

// neighbourhood finds out what the module requires, and what the others do, by the names of modules.
func (d *draft) neighbourhood(ctx context.Context) error {
	others, err := d.modules(ctx)
	if err != nil {
		return err
	}
	all := []wanted.Module{{Name: d.module.Name, Package: d.pkg.Name, Requires: d.module.Spec.DependsOn, PackageRequires: d.pkg.Requires}}
	for i := range others {
		all = append(all, wanted.Of(&others[i]))
	}
	all = wanted.Resolved(all)
	d.plan.Requires, d.neighbours = all[0].Requires, all[1:]
	return nil
}

// dependants holds the new version against the other modules: those that it needs, those that need it, and those that it doesn't go
// together with. That a module which is needed isn't healthy yet is no problem: the plan waits for it. Only what is installed needs anything,
// and only what it has it can lose: else anybody's Module that never works would hold up those that it names.
func dependants(ctx context.Context, d *draft) error {
	all, err := d.modules(ctx)
	if err != nil || all == nil {
		return err
	}
	for _, r := range d.plan.Requires {
		d.requires(r, all)
	}
	now := d.module.Status.Current
	for i, m := range d.neighbours {
		for _, on := range m.Requires {
			had := m.Version != "" && now != nil && inRange(on.Version, now.Version)
			if !had || on.Module != d.module.Name || inRange(on.Version, d.plan.Version) {
				continue
			}
			if slices.Contains(all[i].Spec.DependsOn, on) {
				d.problem(CheckDependants, "Module/"+m.Name, "depends on %s %s, and this would be %s: change its spec.dependsOn first, or choose another version",
					d.module.Name, on.Version, d.plan.Version)
			} else {
				d.problem(CheckDependants, "Module/"+m.Name, "has package %s, which requires %s %s, and this would be %s: bring %s to a version that allows it first, or choose another version",
					m.Package, d.module.Name, on.Version, d.plan.Version, m.Name)
			}
		}
		for _, c := range d.pkg.Conflicts {
			if (c.Module == m.Name || c.Module == m.Package) && m.Version != "" && inRange(c.Version, m.Version) {
				d.problem(CheckDependants, "Module/"+m.Name, "doesn't go together with package %s %s: remove it, or choose another version of one of the two",
					d.pkg.Name, d.plan.Version)
			}
		}
	}
	return nil
}

// requires judges one requirement.
func (d *draft) requires(r v1alpha1.ModuleDependency, all []v1alpha1.Module) {
	object := "Module/" + r.Module
	at := slices.IndexFunc(all, func(m v1alpha1.Module) bool { return m.Name == r.Module })
	if at < 0 {
		d.problem(CheckDependants, object, "is required, and doesn't exist: create it%s", inWords(r.Version, ", in a version of "))
		return
	}
	status := all[at].Status
	if c := status.Current; c != nil && !inRange(r.Version, c.Version) && (status.Target == nil || !inRange(r.Version, status.Target.Version)) {
		d.problem(CheckDependants, object, "is required in a version of %s, and is %s: upgrade it first", r.Version, c.Version)
	}
}

func inWords(text, before string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// modules are the other modules; nil: whoever plans may not read them.
func (d *draft) modules(ctx context.Context) ([]v1alpha1.Module, error) {
	if d.others != nil {
		return d.others, nil
	}
	list, err := listOf(ctx, d.survey, d.since, &v1alpha1.ModuleList{})
	if apierrors.IsForbidden(err) {
		d.problem(CheckDependants, "", "the other modules can't be read, so that nobody knows who depends on this one: allow list on modules")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	d.others = slices.DeleteFunc(append([]v1alpha1.Module{}, list.Items...), func(m v1alpha1.Module) bool { return m.Name == d.module.Name })
	return d.others, nil
}

// otherModules finds modules whose objects are of a kind in a version that goes.
func (d *draft) otherModules(ctx context.Context, group, kind string, ends map[string]bool) ([]crd.Use, error) {
	if d.used == nil {
		if err := d.readOthers(ctx); err != nil {
			return nil, err
		}
	}
	var uses []crd.Use
	for _, version := range slices.Sorted(maps.Keys(ends)) {
		for _, by := range d.used[schema.GroupVersionKind{Group: group, Version: version, Kind: kind}] {
			uses = append(uses, crd.Use{Version: version, By: by})
		}
	}
	return uses, nil
}

// readOthers reads the revisions of the other modules, those that are installed and those on their way, and notes of each the kinds of its objects
// with the first of them. That is done once for a plan: each revision is some Secrets. What can't be read any more is told, and is no
// reason to wait: it is another module's loss.
func (d *draft) readOthers(ctx context.Context) error {
	all, err := d.modules(ctx)
	if err != nil {
		return err
	}
	used := map[schema.GroupVersionKind][]string{}
	for _, m := range all {
		met := map[schema.GroupVersionKind]bool{}
		for _, name := range revisionsOf(&m) {
			r, err := d.Revisions.Load(ctx, name)
			switch {
			case apierrors.IsNotFound(err), apierrors.IsForbidden(err), errors.Is(err, revision.ErrLost), errors.Is(err, revision.ErrCorrupt):
				d.plan.Unseen = append(d.plan.Unseen, fmt.Sprintf("which kinds module %s uses: %s", m.Name, err))
				continue
			case err != nil:
				return fmt.Errorf("read what module %s has: %w", m.Name, err)
			}
			for _, o := range revision.Objects(r.Steps) {
				if gvk := o.GroupVersionKind(); !met[gvk] {
					met[gvk] = true
					used[gvk] = append(used[gvk], fmt.Sprintf("module %s (%s)", m.Name, strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")))
				}
			}
		}
	}
	d.used = used
	return nil
}

// revisionsOf names the revisions of which a module may have objects in the cluster.
func revisionsOf(m *v1alpha1.Module) []string {
	var names []string
	if c := m.Status.Current; c != nil && c.Revision != "" {
		names = append(names, c.Revision)
	}
	if a := m.Status.Attempt; a != nil {
		names = append(names, a.Over...)
		if a.Target.Revision != "" {
			names = append(names, a.Target.Revision)
		}
	}
	return names
}
