package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/slipway/internal/kube"
)

// write brings the items into the cluster that are not there yet as they should be: first what is light, then the one that proves
// itself, then the others tier by tier. A tier is not begun when one before it failed. Light items that turn out to exist are proved together
// with the one that would have proved itself, and written with the others.
func (r *run) write(ctx context.Context, items []*item, first *item) error {
	r.noteUnwritten(items)
	light := pick(items, func(it *item) bool { return it.light })
	rest := pick(items, func(it *item) bool { return it.stance.writing() && it != first && !it.light })
	r.undo = nil
	for _, tier := range tiers(light, refOf) {
		if err := r.each(tier, func(it *item) *Error { return r.introduce(ctx, it) }); err != nil {
			return r.takeBack(ctx, err)
		}
	}
	if found := pick(light, func(it *item) bool { return !it.light }); len(found) > 0 {
		if first != nil {
			found = append(found, first)
			first = nil
		}
		if err := r.tailor(ctx, found); err != nil {
			return r.takeBack(ctx, err)
		}
		if err := r.prove(ctx, found, nil); err != nil {
			return r.takeBack(ctx, err)
		}
		rest = append(rest, found...)
	}
	if first != nil {
		if err := r.put(ctx, first); err != nil {
			return r.takeBack(ctx, err)
		}
	}
	for _, tier := range tiers(rest, refOf) {
		err := r.each(tier, func(it *item) *Error { return r.put(ctx, it) })
		if err == nil {
			continue
		}
		if err = orWait(err); r.stops(err) {
			return err
		}
	}
	return nil
}

func refOf(it *item) kube.Ref { return it.ref }

// noteUnwritten records the items that need no write.
func (r *run) noteUnwritten(items []*item) {
	for _, it := range items {
		c := Change{Ref: it.ref, UID: it.known.UID, ResourceVersion: it.known.ResourceVersion}
		switch it.stance {
		case skip:
			c.Action, c.Note = Skipped, r.whySkipped(it)
			r.rememberSkipped(it)
		case settled:
			c.Action = Unchanged
		case leave:
			c.Action, c.Mode, c.Fields = Drifted, it.mode, it.fields
			r.rememberLeft(it)
		default:
			continue
		}
		r.note(c)
	}
}

// rememberSkipped keeps what is needed to notice when an object that was left alone has to be applied after all.
func (r *run) rememberSkipped(it *item) {
	seen := record{uid: it.known.UID, resourceVersion: it.known.ResourceVersion, owned: it.known.Owned}
	switch {
	case r.conflicted(it.ref):
	case it.ignore, it.known.UID == "":
		r.memory.put(r.opts.Owner, it.ref, record{skipped: true})
	case it.once:
		seen.once = true
		r.memory.put(r.opts.Owner, it.ref, seen)
	default: // paused on the object itself: what it is like now is not what we want
		seen.owned = [16]byte{}
		r.memory.put(r.opts.Owner, it.ref, seen)
	}
}

// rememberLeft keeps of an object that has drifted and stays so what it was applied as, so that it goes on to count as drifted.
func (r *run) rememberLeft(it *item) {
	m, remembered := r.memory.get(r.opts.Owner, it.ref)
	if !remembered { // applied before this process started
		m = record{uid: it.known.UID, resourceVersion: it.known.ResourceVersion, desired: it.desired, mode: it.asked}
	}
	m.left = true
	r.memory.put(r.opts.Owner, it.ref, m)
}

func (r *run) whySkipped(it *item) string {
	switch {
	case r.conflicted(it.ref):
		return "another owner applies it"
	case it.ignore || it.known.Paused:
		return "an annotation asks that it be left alone"
	}
	return "it exists, and is only ever created"
}

func (r *run) conflicted(ref kube.Ref) bool {
	for _, e := range r.conflicts {
		if e.Ref == ref {
			return true
		}
	}
	return false
}

// put writes one item.
func (r *run) put(ctx context.Context, it *item) *Error {
	if it.replace {
		return r.recreate(ctx, it)
	}
	got, err := r.send(ctx, it)
	if err != nil && r.replaceable(it, err) {
		it.replace = true
		if e := r.proveReplacement(ctx, it); e != nil {
			return e
		}
		return r.recreate(ctx, it)
	}
	if err != nil {
		return r.refused(it, err)
	}
	return r.record(ctx, it, got, r.actionOf(it, got))
}

// refused explains a write that failed, and has the kind looked up again when it seems to be gone.
func (r *run) refused(it *item, err error) *Error {
	e := r.explain(it, "patch", err)
	if e.Reason == ReasonKindMissing {
		r.clients.Invalidate()
	}
	return e
}

// record takes note of a write, after taking away from kubectl what it owns of the object.
func (r *run) record(ctx context.Context, it *item, got answer, action Action) *Error {
	state := r.inspect(&got)
	if state.Overridden && !it.merge {
		after, err := r.takeOver(ctx, it, got)
		if err != nil {
			return r.explain(it, "patch", err)
		}
		state, action = r.inspect(&after), Configured
	}
	if it.ref.GroupKind() == namespaceKind && state.Deleting {
		return &Error{Reason: ReasonNamespaceTerminating, Ref: it.ref, Message: "is being deleted: wait until it is gone, or use another name"}
	}
	r.memory.put(r.opts.Owner, it.ref, record{
		uid: state.UID, resourceVersion: state.ResourceVersion, owned: state.Owned, desired: it.desired, once: it.once, mode: it.asked,
	})
	c := Change{Ref: it.ref, Action: action, UID: state.UID, ResourceVersion: state.ResourceVersion, Drift: it.stance == restore && action != Unchanged}
	r.note(c)
	r.noteBirth(it, got.created)
	if got.created && it.light {
		r.mu.Lock()
		r.undo = append(r.undo, c)
		r.mu.Unlock()
	}
	return nil
}

// actionOf tells what a write did, from what was known before it.
func (r *run) actionOf(it *item, got answer) Action {
	if got.created {
		return Created
	}
	now := r.inspect(&got)
	if now.ResourceVersion == it.liveVersion || now.ResourceVersion == it.known.ResourceVersion || now.ResourceVersion == it.remembered.resourceVersion {
		return Unchanged
	}
	same := it.remembered.desired == it.desired && it.remembered.owned == now.Owned && it.remembered.uid == now.UID
	drifted := it.watched && it.known.Owned != it.remembered.owned
	if same && !drifted {
		return Unchanged
	}
	return Configured
}

// noteBirth remembers for the later phases that a namespace or a kind is new.
func (r *run) noteBirth(it *item, created bool) {
	if !created {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if it.ref.GroupKind() == namespaceKind {
		r.bornNamespaces[it.ref.Name] = struct{}{}
	}
	if gk, ok := defines(it); ok {
		r.young[gk.String()] = struct{}{}
	}
}

// defines returns the kind that a CRD defines.
func defines(it *item) (schema.GroupKind, bool) {
	if it.ref.GroupKind() != crdKind {
		return schema.GroupKind{}, false
	}
	return schema.GroupKind{Group: nested(it.obj, "spec", "group"), Kind: nested(it.obj, "spec", "names", "kind")}, true
}
