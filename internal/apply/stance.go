package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

// stance is what has to be done with an item, as far as that is known.
type stance int

const (
	// skip: leave it alone.
	skip stance = iota
	// settled: it is in the cluster as it should be.
	settled
	// leave: others changed it, and it stays so on request.
	leave
	// restore: it was accepted in this form before, and has to be written again.
	restore
	// change: it has to be written in a form that nobody has accepted yet.
	change
	// probe: it exists, and a dry-run tells whether it has to be written.
	probe
	// create: it doesn't exist, as far as the watch knows.
	create
	// ask: whether it exists decides, and only the API server knows.
	ask
)

// proving tells whether the API server has to accept the item before something else is written.
func (s stance) proving() bool { return s == change || s == probe || s == create }

// writing tells whether the item is going to be written for sure.
func (s stance) writing() bool { return s == restore || s == change || s == create }

// look finds the stance of an item from what is remembered and what the watch says. It makes no request.
func (r *run) look(it *item) {
	m, remembered := r.memory.get(r.opts.Owner, it.ref)
	s, exists, watched := r.observer.Get(it.ref)
	if exists && !s.Deleting && s.UID == r.memory.buried(r.opts.Owner, it.ref) {
		s, exists = observe.State{}, false // the watch has not seen yet that it is gone
	}
	it.known, it.watched, it.remembered = s, watched, m
	it.fresh = r.born(it)
	it.mode = s.Drift.Or(it.asked).Or(r.opts.Drift)
	same := remembered && m.desired == it.desired && !m.skipped
	switch {
	case it.ignore, watched && exists && s.Paused:
		it.stance = skip
	case it.once && !it.fresh:
		it.stance = r.lookOnce(exists, watched)
	case it.fresh:
		it.stance = create
	case same && r.untouched(it, exists, watched) && !r.opts.Verify:
		it.stance = settled
	case same && exists && r.taken(s, m):
		r.conflicts = append(r.conflicts, &Error{Reason: ReasonOwned, Ref: it.ref, Message: fmt.Sprintf(
			"was taken over by %s, which applies the same object: take it out of one of the two", words(r.opts.Owner.Group, s.Owner))})
		it.stance = skip
	case same && watched && r.tolerated(it):
		it.stance = leave
	case same:
		it.stance = restore
	case remembered:
		it.stance = change
	case exists:
		it.stance = probe
	case watched:
		it.stance = create
	default:
		it.stance = change
	}
}

func (r *run) lookOnce(exists, watched bool) stance {
	if watched && exists {
		return skip
	}
	return ask // without our label it may exist although no watch shows it
}

// untouched tells whether the object is as we left it: the watch says so, or can't have come as far as our last write.
func (r *run) untouched(it *item, exists, watched bool) bool {
	m := it.remembered
	switch {
	case !watched:
		return false
	case !exists:
		return r.unseen(it.ref, m)
	}
	return m.behind(it.known) || m.keepsTo(it.known)
}

// taken tells whether another owner applied the object after we did. To take it back would start a fight that nobody wins.
func (r *run) taken(s observe.State, m record) bool {
	return r.observed() && s.Owner != "" && s.Owner != r.opts.Owner.key() && s.UID == m.uid && !m.behind(s)
}

// observed tells whether the observer goes by the labels of our owner.
func (r *run) observed() bool { return r.opts.Owner.Group == r.settings.Group }

// inspect returns the state of an object as seen by our field manager and owner.
func (r *run) inspect(obj metav1.Object) observe.State {
	return observe.InspectAs(obj, r.opts.Owner.Group, r.opts.Manager)
}

// born tells whether the item can't exist because its namespace or its kind was created by this run.
func (r *run) born(it *item) bool {
	_, namespace := r.bornNamespaces[it.ref.Namespace]
	_, kind := r.young[it.ref.GroupKind().String()]
	return namespace || kind
}

// lookup asks the API server about the items whose stance depends on whether they exist.
func (r *run) lookup(ctx context.Context, items []*item) error {
	return r.each(pick(items, func(it *item) bool { return it.stance == ask }), func(it *item) *Error {
		_, err := r.head(ctx, it.mapping, it.ref)
		switch {
		case err == nil:
			it.stance = skip
		case apierrors.IsNotFound(err) && !missingNamespace(err):
			it.stance = create
		default:
			return r.explain(it, "get", err)
		}
		return nil
	})
}

func pick(items []*item, want func(*item) bool) []*item {
	var out []*item
	for _, it := range items {
		if want(it) {
			out = append(out, it)
		}
	}
	return out
}
