package attempt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// hanging is an object whose deletion doesn't end.
type hanging struct {
	ref        kube.Ref
	finalizers []string
}

func (h hanging) String() string {
	if len(h.finalizers) == 0 {
		return h.ref.Subject() + " is being deleted"
	}
	return h.ref.Subject() + " is held by its finalizers (" + strings.Join(h.finalizers, ", ") + ")"
}

// removeAll deletes the objects of all revisions, the last step first, each step before the one that it needs: custom resources while their
// controller still runs and can let them go, then what runs, then what it needs. What is gone costs a look.
func (t *task) removeAll(ctx context.Context) (lifecycle.Event, error) {
	all, err := t.everything(ctx)
	if err != nil {
		return "", err
	}
	for _, batch := range t.batches(all) {
		left, err := t.remove(ctx, batch)
		if err != nil {
			return t.hangs(nil, err)
		}
		if len(left) > 0 {
			return t.hangs(left, nil)
		}
	}
	return t.removeLast(ctx, all)
}

// everything lists the objects of all revisions of the module.
func (t *task) everything(ctx context.Context) ([]kube.Ref, error) {
	if t.entry.refsFor == everyRevision {
		return t.entry.refs, nil
	}
	revisions, err := t.Store.List(ctx, t.m.Name)
	if err != nil {
		return nil, err
	}
	var loaded []*revision.Revision
	for _, r := range revisions {
		one, err := t.Store.Load(ctx, r.Name)
		if err != nil {
			if !unreadable(err) {
				return nil, err
			}
			// Others may have the same objects; that some are left behind is better than that the module can't go.
			t.tell(true, reasonStorage, err.Error())
			continue
		}
		loaded = append(loaded, one)
	}
	t.entry.refs, t.entry.refsFor = refsOf(loaded...), everyRevision
	t.entry.found = FoundBy(loaded...)
	return t.entry.refs, nil
}

// everyRevision marks that the references which are remembered are those of all revisions.
const everyRevision = "*"

// batches are what is deleted at once, in order.
func (t *task) batches(all []kube.Ref) [][]kube.Ref {
	var out [][]kube.Ref
	for _, name := range slices.Backward(revision.Order()) {
		if name == v1alpha1.StepDefinitions || name == v1alpha1.StepNamespaces {
			continue
		}
		refs := only(all, name)
		custom := slices.DeleteFunc(slices.Clone(refs), builtin)
		if len(custom) > 0 {
			out = append(out, custom)
		}
		out = append(out, slices.DeleteFunc(slices.Clone(refs), func(r kube.Ref) bool { return !builtin(r) }))
	}
	if t.deletesDefinitions() {
		// What people have made of these kinds goes first of all: its controller may have to do something for that.
		out = append([][]kube.Ref{only(all, v1alpha1.StepDefinitions)}, out...)
	}
	return out
}

func (t *task) deletesDefinitions() bool {
	u := t.m.Spec.Uninstall
	return u != nil && u.Definitions == v1alpha1.DeleteDefinitions
}

// builtin tells whether a kind is one of Kubernetes itself, which needs no controller that a module brings.
func builtin(ref kube.Ref) bool {
	switch ref.Group {
	case "", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io", "scheduling.k8s.io", "node.k8s.io",
		"coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "certificates.k8s.io", "flowcontrol.apiserver.k8s.io", "resource.k8s.io",
		"admissionregistration.k8s.io", "apiregistration.k8s.io", "apiextensions.k8s.io", Group:
		return true
	}
	return false
}

// remove deletes a batch, and returns what is still there. Of definitions it is their objects that are deleted.
func (t *task) remove(ctx context.Context, batch []kube.Ref) ([]hanging, error) {
	if len(batch) > 0 && revision.StepOf(batch[0].GroupKind()) == v1alpha1.StepDefinitions {
		return t.removeCustom(ctx, batch)
	}
	if _, err := t.Engine.Prune(ctx, batch, t.options()); err != nil {
		return nil, err
	}
	var left []hanging
	for _, ref := range batch {
		live, err := t.head(ctx, ref)
		if err != nil {
			return nil, err
		}
		if live != nil && live.Labels[Group+"/name"] == t.m.Name && live.DeletionTimestamp != nil {
			left = append(left, hanging{ref, live.Finalizers})
		}
	}
	return left, nil
}

// head reads the metadata of an object; nil where it, or its kind, isn't there.
func (t *task) head(ctx context.Context, ref kube.Ref) (*metav1.PartialObjectMetadata, error) {
	m, err := t.Clients.Mapping(ref.GroupKind(), ref.Version)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", ref.Subject(), err)
	}
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return nil, err
	}
	namespace := ref.Namespace
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		namespace = ""
	}
	live, err := cl.Metadata.Resource(m.Resource).Namespace(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, wrap(err, "look for %s", ref.Subject())
}

// removeCustom deletes all objects of the kinds that definitions define. Where a definition isn't the module's, or something keeps it, they
// aren't the module's to delete either: it may have been taken over by an attempt that failed, and be somebody else's again.
func (t *task) removeCustom(ctx context.Context, definitions []kube.Ref) ([]hanging, error) {
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return nil, err
	}
	var left []hanging
	for _, d := range definitions {
		live, err := t.liveDefinition(ctx, d)
		if err != nil {
			return nil, err
		}
		if live == nil || apply.Kept(plan.Owner(t.m.Name), live) != "" {
			continue
		}
		gvr, kind := resourceStored(live), live.Spec.Names.Kind
		if gvr.Resource == "" {
			continue
		}
		objects, err := cl.Metadata.Resource(gvr).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", gvr.GroupResource(), err)
		}
		for _, o := range objects.Items {
			ref := kube.Ref{Group: gvr.Group, Version: gvr.Version, Kind: kind, Namespace: o.Namespace, Name: o.Name}
			if o.DeletionTimestamp == nil {
				err := cl.Metadata.Resource(gvr).Namespace(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &o.UID}})
				if err != nil && !apierrors.IsNotFound(err) {
					return nil, fmt.Errorf("delete %s: %w", ref.Subject(), err)
				}
				if len(o.Finalizers) == 0 {
					continue
				}
			}
			left = append(left, hanging{ref, o.Finalizers})
		}
	}
	return left, nil
}

// removeLast sees to definitions and namespaces, and says what is left behind on purpose.
func (t *task) removeLast(ctx context.Context, all []kube.Ref) (lifecycle.Event, error) {
	definitions := only(all, v1alpha1.StepDefinitions)
	if t.deletesDefinitions() {
		if _, err := t.Engine.Prune(ctx, definitions, t.options()); err != nil {
			return t.hangs(nil, err)
		}
	} else if err := t.keepDefinitions(ctx, definitions); err != nil {
		return "", err
	}
	var left []hanging
	for _, ref := range only(all, v1alpha1.StepNamespaces) {
		h, err := t.removeNamespace(ctx, ref, all, t.entry.found)
		if err != nil {
			return "", err
		}
		left = append(left, h...)
	}
	if len(left) > 0 {
		return t.hangs(left, nil)
	}
	return lifecycle.Done, nil
}

// keepDefinitions leaves definitions, and all objects of their kinds, to whom they may belong next, and says which those are.
func (t *task) keepDefinitions(ctx context.Context, definitions []kube.Ref) error {
	var kept []string
	for _, d := range definitions {
		live, err := t.liveDefinition(ctx, d)
		if err != nil {
			return err
		}
		if live == nil || live.Labels[Group+"/name"] != t.m.Name {
			continue
		}
		n, err := t.countCustom(ctx, resourceStored(live))
		if err != nil {
			return err
		}
		if err := t.releaseObject(ctx, d); err != nil {
			return err
		}
		kept = append(kept, fmt.Sprintf("%s (%d objects)", d.Name, n))
	}
	if len(kept) > 0 {
		t.tell(false, reasonKept, "definitions of kinds are kept, with their objects: "+strings.Join(kept, ", ")+
			". To delete both: kubectl delete crd NAME")
	}
	return nil
}

// countCustom tells how many objects there are of a resource.
func (t *task) countCustom(ctx context.Context, gvr schema.GroupVersionResource) (int64, error) {
	if gvr.Resource == "" {
		return 0, nil
	}
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return 0, err
	}
	objects, err := cl.Metadata.Resource(gvr).List(ctx, metav1.ListOptions{Limit: 1})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", gvr.GroupResource(), err)
	}
	n := int64(len(objects.Items))
	if objects.RemainingItemCount != nil {
		n += *objects.RemainingItemCount
	}
	return n, nil
}

// releaseObject takes the module's label off an object that stays.
func (t *task) releaseObject(ctx context.Context, ref kube.Ref) error {
	live, err := t.head(ctx, ref)
	if err != nil || live == nil || live.Labels[Group+"/name"] != t.m.Name {
		return err
	}
	resource, err := t.resourceOf(ref)
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, Group+"/name")
	_, err = resource.Patch(ctx, ref.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: plan.Manager(t.m.Name)})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return wrap(err, "let go of %s", ref.Subject())
}

// hangs is the outcome of a deletion that isn't finished: after a while, what holds it up is named, with what to do.
func (t *task) hangs(left []hanging, err error) (lifecycle.Event, error) {
	t.again(t.settings.CheckEvery)
	text := list(left)
	if err != nil {
		text = err.Error()
	}
	t.waits = text
	since := t.m.Status.PhaseSince
	if since == nil || t.now.Sub(since.Time) < t.settings.HangAfter {
		return "", nil
	}
	if len(left) > 0 {
		text += ": whoever put a finalizer there has to take it away. If that runs no more, and nothing of it has to be cleaned up: " +
			"kubectl patch KIND NAME --type=merge -p '{\"metadata\":{\"finalizers\":null}}'"
	}
	t.failure = t.failed(reasonHangs, text)
	return lifecycle.Failed, nil
}

// letGo ends the life of a module of which nothing is left.
func (t *task) letGo(ctx context.Context) error {
	all, err := t.Store.List(ctx, t.m.Name)
	if err != nil {
		return err
	}
	if err := t.Store.Collect(ctx, all, 0); err != nil {
		return err
	}
	want := t.m.DeepCopy()
	want.Finalizers = slices.DeleteFunc(want.Finalizers, func(f string) bool { return f == Finalizer })
	t.gone = true
	if len(want.Finalizers) == len(t.m.Finalizers) {
		return nil
	}
	t.tell(false, reasonUninstalled, "nothing is left of it")
	if err := kube.PatchMetadata(ctx, t.Direct, t.m, want, fieldOwner); err != nil && !apierrors.IsNotFound(err) {
		t.gone = false
		return fmt.Errorf("let the module go: %w", err)
	}
	return nil
}
