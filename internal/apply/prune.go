package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

// pruneTries is how often an object is looked at again because it changed between the look and the deletion.
const pruneTries = 5

// Prune deletes objects that the owner no longer wants, in the reverse order of Apply, in the background and without waiting for their
// end. An object goes only while its owner labels still name the owner and no annotation keeps it, and only as the one that was
// looked at. What is left alone, or is gone already, is reported as skipped; what could not be deleted is in the error and
// not in the changes.
func (e *Engine) Prune(ctx context.Context, refs []kube.Ref, opts Options) ([]Change, error) {
	r, err := e.begin(opts)
	if err != nil {
		return nil, err
	}
	items := doomed(refs)
	var failed []*Error
	for phase := phaseCount - 1; phase >= 0; phase-- {
		ofPhase := pick(items, func(it *item) bool { return phaseOf(it.ref.GroupKind()) == phase })
		for _, tier := range slices.Backward(tiers(ofPhase, refOf)) {
			failed = append(failed, Errors(r.each(tier, func(it *item) *Error { return r.prune(ctx, it) }))...)
		}
	}
	slices.SortStableFunc(r.result.Changes, func(a, b Change) int { return compareOrder(b.Ref, a.Ref) })
	return r.result.Changes, joined(failed)
}

// doomed returns references as items, in the order in which they are pruned.
func doomed(refs []kube.Ref) []*item {
	items := make([]*item, len(refs))
	for i, ref := range refs {
		items[i] = &item{ref: ref, obj: &unstructured.Unstructured{Object: map[string]any{}}}
	}
	slices.SortFunc(items, func(a, b *item) int { return compareOrder(b.ref, a.ref) })
	return items
}

// Why an object need not be pruned.
const (
	kindGone    = "its kind is no longer served, and with that it is gone"
	alreadyGone = "it is gone already"
)

// find finds out how the kind of an item that is to be pruned is served, if it still is.
func (r *run) find(it *item) (served bool, _ *Error) {
	m, err := r.clients.Mapping(it.ref.GroupKind(), it.ref.Version)
	if meta.IsNoMatchError(err) { // a later version may be all that is left
		m, err = r.clients.Mapping(it.ref.GroupKind(), "")
	}
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, unserved(it.ref, err)
	}
	it.mapping = m
	return true, nil
}

func (r *run) prune(ctx context.Context, it *item) *Error {
	served, problem := r.find(it)
	if problem != nil {
		return problem
	}
	if !served {
		return r.pruned(Change{Ref: it.ref, Action: Skipped, Note: kindGone})
	}
	s, exists, watched := r.observer.Get(it.ref)
	if watched && exists && s.Owner == r.opts.Owner.key() && r.observed() && !s.Keep {
		err := r.remove(ctx, it.mapping, it.ref, s.UID, s.ResourceVersion)
		if err == nil {
			return r.pruned(Change{Ref: it.ref, Action: Deleted, UID: s.UID, ResourceVersion: s.ResourceVersion})
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return r.explain(it, "delete", err)
		}
	}
	return r.pruneUnseen(ctx, it)
}

// pruneUnseen looks at the object itself before it deletes it.
func (r *run) pruneUnseen(ctx context.Context, it *item) *Error {
	var last error
	for try := range pruneTries {
		live, err := r.head(ctx, it.mapping, it.ref)
		if apierrors.IsNotFound(err) {
			return r.pruned(Change{Ref: it.ref, Action: Skipped, Note: alreadyGone})
		}
		if err != nil {
			return r.explain(it, "get", err)
		}
		if why := Kept(r.opts.Owner, live); why != "" {
			return r.pruned(Change{Ref: it.ref, Action: Skipped, UID: live.UID, Note: why})
		}
		rv := live.ResourceVersion
		if try == pruneTries-1 {
			rv = "" // it changes all the time: the labels of a moment ago have to do
		}
		last = r.remove(ctx, it.mapping, it.ref, live.UID, rv)
		if last == nil {
			return r.pruned(Change{Ref: it.ref, Action: Deleted, UID: live.UID, ResourceVersion: live.ResourceVersion})
		}
		if !apierrors.IsConflict(last) && !apierrors.IsNotFound(last) {
			break
		}
	}
	return r.explain(it, "delete", last)
}

// Kept returns why a live object must not be deleted in the name of an owner, "" if it may.
func Kept(owner Owner, live metav1.Object) string {
	labels := live.GetLabels()
	name, namespace := labels[owner.Group+"/name"], labels[owner.Group+"/namespace"]
	switch {
	case name == "" && namespace == "":
		return "it no longer has owner labels"
	case name != owner.Name || namespace != owner.Namespace:
		return fmt.Sprintf("it belongs to %s now", words(owner.Group, namespace+"/"+name))
	case strings.EqualFold(live.GetAnnotations()[observe.AnnotationPrune], observe.Disabled):
		return "its annotation " + observe.AnnotationPrune + " keeps it"
	}
	return ""
}

func (r *run) pruned(c Change) *Error {
	r.memory.drop(r.opts.Owner, c.Ref)
	r.note(c)
	return nil
}
