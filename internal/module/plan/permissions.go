package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/permit"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// permissions holds what the package brings against the grant, and what a rollback would bring back.
func permissions(ctx context.Context, d *draft) error {
	known, err := d.readRoles(ctx)
	if err != nil || !known {
		return err
	}
	question := d.question(d.objects)
	question.Declared, question.Checks = d.pkg.Permissions, d.plan.Gate.Checks
	answer := permit.Check(question)
	if d.kindless != nil {
		return d.kindless
	}
	for _, f := range answer.Findings {
		if f.Message == permit.Unserved && d.troubled(CheckDryRun, f.Object) {
			continue // told already
		}
		d.problem(CheckPermissions, f.Object, "%s", f.Message)
	}
	d.plan.Permissions = answer.Permissions
	var before v1alpha1.Permissions
	if d.current != nil {
		before = d.current.Object.Spec.Permissions
		back := permit.Check(d.question(revision.Objects(d.current.Steps)))
		if d.kindless != nil {
			return d.kindless
		}
		for _, f := range back.Findings {
			d.irreversible("the grant no longer allows what the installed revision %s has: %s %s", d.current.Object.Name, f.Object, f.Message)
		}
	}
	d.plan.AddedPermissions = permit.Added(before, answer.Permissions)
	return nil
}

// question is about some objects, those of the package or those of the installed revision.
func (d *draft) question(objects []*unstructured.Unstructured) permit.Question {
	interpreters := map[string]bool{}
	for _, i := range d.pkg.Interpreters {
		interpreters[i.Name] = true
	}
	objects = slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool { // judged when they were made
		return o.GetKind() == v1alpha1.InterpreterKind && o.GroupVersionKind().Group == v1alpha1.GroupVersion.Group && interpreters[o.GetName()]
	})
	theirs := map[kube.Ref]string{}
	for ref, o := range d.theirs {
		theirs[ref] = o.who
	}
	return permit.Question{
		Module: d.module.Name, Namespace: d.plan.Namespace, Own: d.own, Grant: d.grant,
		Objects: objects, Served: d.servedKind, Theirs: theirs, Live: d.roles, Agent: d.Agent,
	}
}

// servedKind is kind for those who can't do anything about an error: it is kept, and nothing counts that was found without the answer.
func (d *draft) servedKind(gk schema.GroupKind) (permit.Served, bool) {
	kind, served, err := d.kind(gk)
	if err != nil {
		d.kindless = err
	}
	return kind, served
}

// troubled is whether a check has a problem with an object.
func (d *draft) troubled(check, object string) bool {
	return slices.ContainsFunc(d.plan.Problems, func(p v1alpha1.PlanProblem) bool { return p.Check == check && p.Object == object })
}

// readRoles reads the roles of the cluster, and leaves out what the module itself has brought. False: whoever plans may not read them.
func (d *draft) readRoles(ctx context.Context) (bool, error) {
	clusterRoles, mayA, err1 := readable(ctx, d, "clusterroles", &rbacv1.ClusterRoleList{})
	roles, mayB, err2 := readable(ctx, d, "roles", &rbacv1.RoleList{})
	clusterRoleBindings, mayC, err3 := readable(ctx, d, "clusterrolebindings", &rbacv1.ClusterRoleBindingList{})
	roleBindings, mayD, err4 := readable(ctx, d, "rolebindings", &rbacv1.RoleBindingList{})
	if err := errors.Join(err1, err2, err3, err4); err != nil || !(mayA && mayB && mayC && mayD) {
		return false, err
	}
	d.roles = permit.Live{
		ClusterRoles:        others(d, "ClusterRole", clusterRoles.Items),
		Roles:               others(d, "Role", roles.Items),
		ClusterRoleBindings: others(d, "ClusterRoleBinding", clusterRoleBindings.Items),
		RoleBindings:        others(d, "RoleBinding", roleBindings.Items),
	}
	return true, nil
}

// readable reads a list, and says so where whoever plans may not.
func readable[L client.ObjectList](ctx context.Context, d *draft, name string, list L) (L, bool, error) {
	list, err := listOf(ctx, d.survey, d.since, list)
	if apierrors.IsForbidden(err) {
		d.problem(CheckPermissions, "", "the cluster's %s can't be read, so that nobody knows which rights the package's pods would have: allow list on them", name)
		return list, false, nil
	}
	if err != nil {
		return list, false, fmt.Errorf("list %s: %w", name, err)
	}
	return list, true, nil
}

// others leaves out objects that the module has brought, and says nothing of labels: whoever may write them may write the role.
func others[T any, P interface {
	*T
	client.Object
}](d *draft, kind string, items []T) []T {
	return slices.DeleteFunc(slices.Clone(items), func(item T) bool {
		o := P(&item)
		return d.known[kube.Ref{Group: rbacv1.GroupName, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}]
	})
}
