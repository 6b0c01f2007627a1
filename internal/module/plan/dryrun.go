package plan

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/crd"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// dryRun asks the API server about each object: what there is, and what would become of it. That is two requests an object.
func dryRun(ctx context.Context, d *draft) error {
	var err error
	if d.next, err = d.engine.Plan(ctx, d.first(), d.options()); err != nil {
		if err := d.refused(ctx, err); err != nil {
			return err
		}
	}
	if err := d.elsewhere(ctx); err != nil {
		return err
	}
	if d.gone, err = d.engine.PlanPrune(ctx, d.obsolete(), d.options()); err != nil {
		if err := d.refused(ctx, err); err != nil {
			return err
		}
	}
	for _, c := range d.next {
		if c.Live != nil && !d.known[c.Ref.Unversioned()] {
			d.plan.Before = append(d.plan.Before, c.Live)
		}
	}
	d.changes()
	return nil
}

// first are the objects as they would be applied before the commit: of definitions the step that can be taken back.
func (d *draft) first() []*unstructured.Unstructured {
	out := slices.Clone(d.objects)
	for i, o := range out {
		if o.GetKind() != crdKind {
			continue
		}
		if first := d.firstOf(o); first != nil {
			out[i] = first
		}
	}
	return out
}

// obsolete are the objects of the current revision that the new one doesn't have.
func (d *draft) obsolete() []kube.Ref {
	if d.current == nil {
		return nil
	}
	return apply.Diff(refsOf(revision.Objects(d.current.Steps)), refsOf(d.objects))
}

func refsOf(objects []*unstructured.Unstructured) []kube.Ref {
	refs := make([]kube.Ref, len(objects))
	for i, o := range objects {
		refs[i] = kube.RefOf(o)
	}
	return refs
}

// refused sorts what the API server said about objects: problems, and what may be otherwise in a moment.
func (d *draft) refused(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	all := apply.Errors(err)
	if len(all) == 0 {
		return err
	}
	for _, e := range all {
		if d.comes(e) {
			continue
		}
		switch {
		case strings.Contains(e.Message, "error looking up service account"):
			d.problem(CheckDryRun, e.Ref.Subject(), "runs as a service account that doesn't exist: create it, or ask the package's author to put it into the package")
		case strings.Contains(e.Message, "does not support dry run"):
			d.problem(CheckDryRun, e.Ref.Subject(), "can't be tried: an admission webhook doesn't support dry-runs. Whoever runs it should set sideEffects: None in its configuration")
		case e.Reason == apply.ReasonUnavailable && !strings.Contains(e.Message, "webhook"):
			return &Unavailable{Err: e}
		case e.Found && !d.mayQuote(e.Ref):
			d.problem(CheckDryRun, e.Ref.Subject(), "is there already, belongs to somebody else, and can't be changed (%s). What the API server says is left out: "+
				"it may quote the object, and the module's grant doesn't name its place", e.Reason)
		case e.Reason == apply.ReasonImmutable:
			d.problem(CheckDryRun, e.Ref.Subject(), "would need a change of a field that can't be changed: ask the package's author for another name of the object, "+
				"or delete the object yourself before, if nothing is lost with it%s", quoted(e))
		default:
			d.problem(CheckDryRun, e.Ref.Subject(), "%s", e.Message)
		}
	}
	return nil
}

// mayQuote is whether what an object in the cluster says may be read by whoever reads the plan: it is the module's, or where the grant lets the
// module have objects. Who writes a Module could otherwise have the agent read any object of the cluster to them, in an error.
func (d *draft) mayQuote(ref kube.Ref) bool {
	if d.known[ref.Unversioned()] {
		return true
	}
	if ref.Namespace == "" {
		return d.grant != nil && slices.ContainsFunc(d.grant.Spec.ClusterObjects, func(k v1alpha1.GrantedKind) bool { return k.Group == ref.Group && k.Kind == ref.Kind })
	}
	return ref.Namespace == d.plan.Namespace && d.own || d.grant != nil && (slices.Contains(d.grant.Spec.Namespaces, ref.Namespace) ||
		slices.Contains(d.grant.Spec.Namespaces, "*") && ref.Namespace != d.Agent.Namespace)
}

// comes is whether an object is refused only because something isn't there yet that the package brings: the API server looks for the service
// account of a pod, which nothing else waits for. It is new then.
func (d *draft) comes(e *apply.Error) bool {
	_, after, found := strings.Cut(e.Message, "error looking up service account ")
	if !found {
		return false
	}
	id, _, _ := strings.Cut(after, ":")
	for _, o := range d.objects {
		if o.GetKind() == "ServiceAccount" && o.GetNamespace()+"/"+o.GetName() == id {
			d.next = append(d.next, apply.PlannedChange{Ref: e.Ref, Action: apply.Created, Note: "could not be tried: its service account comes with the package"})
			return true
		}
	}
	return false
}

// quoted is what the API server said, at the end of a message.
func quoted(e *apply.Error) string {
	if e.Err == nil {
		return "" // it could quote the data of a Secret
	}
	return ": " + e.Err.Error()
}

// changes says what would be done with each object.
func (d *draft) changes() {
	for _, c := range d.next {
		change := Change{Object: c.Ref.Subject(), APIVersion: c.Ref.GroupVersionKind().GroupVersion().String(), Step: revision.StepOf(c.Ref.GroupKind()), Note: c.Note}
		switch c.Action {
		case apply.Created:
			change.Action = Create
			d.plan.Counts.Create++
		case apply.Unchanged, apply.Skipped:
			change.Action = Unchanged
			d.plan.Counts.Unchanged++
		default:
			change.Action = Update
			d.plan.Counts.Update++
			if d.told < maxAllFields {
				change.Fields = fields(c.Live, c.Next)
				d.told += len(change.Fields)
			}
		}
		d.plan.Changes = append(d.plan.Changes, change)
	}
	for _, c := range d.gone {
		change := Change{Object: c.Ref.Subject(), APIVersion: c.Ref.GroupVersionKind().GroupVersion().String(), Step: revision.StepOf(c.Ref.GroupKind()), Note: c.Note, Action: Delete}
		if c.Action != apply.Deleted {
			continue
		}
		d.plan.Counts.Delete++
		d.plan.Changes = append(d.plan.Changes, change)
	}
}

// change finds what would be done with an object.
func (d *draft) change(object string) *Change {
	for i := range d.plan.Changes {
		if d.plan.Changes[i].Object == object {
			return &d.plan.Changes[i]
		}
	}
	return nil
}

// firstOf is the definition that would be applied before the commit, nil where that can't be said yet: the check of definitions says why.
func (d *draft) firstOf(o *unstructured.Unstructured) *unstructured.Unstructured {
	next, err := crd.FromObject(o)
	if err != nil {
		return nil
	}
	live := d.live[o.GetName()]
	if live == nil {
		return nil
	}
	steps, err := crd.TwoStep(live, next)
	if err != nil {
		return nil
	}
	first, err := crd.Object(steps.First)
	if err != nil {
		return nil
	}
	return first
}
