package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/slipway-dev/slipway/internal/apply"
)

// right is something that whoever carries the plan out has to be allowed.
type right struct{ verb, group, resource, namespace string }

func (r right) String() string {
	where := "in the cluster"
	if r.namespace != "" {
		where = "in namespace " + r.namespace
	}
	return fmt.Sprintf("%s %s %s (apiGroups [%q])", r.verb, r.resource, where, r.group)
}

// rights asks whether whoever plans may do what a dry-run doesn't show: watch the objects, delete those that go with the commit, and on the
// way back delete those that came and write those that were there before.
func rights(ctx context.Context, d *draft) error {
	all, err := d.may(ctx, right{verb: "*", group: "*", resource: "*"})
	if err != nil || all {
		return err
	}
	forward, back := map[right]string{}, map[right]string{}
	add := func(to map[right]string, c apply.PlannedChange, verbs ...string) {
		kind, served, err := d.kind(c.Ref.GroupKind())
		if err != nil || !served {
			return // the dry-run has told
		}
		for _, verb := range verbs {
			r := right{verb, c.Ref.Group, kind.Resource, c.Ref.Namespace}
			to[r] = cmp.Or(to[r], c.Ref.Subject())
		}
	}
	for _, c := range d.next {
		add(forward, c, "get", "list", "watch")
		if c.Live == nil {
			add(back, c, "delete")
		}
	}
	for _, c := range d.gone {
		add(forward, c, "delete")
		add(back, c, "patch", "create")
	}
	lacking, err := d.lacking(ctx, slices.Collect(maps.Keys(forward)), slices.Collect(maps.Keys(back)))
	if err != nil {
		return err
	}
	for _, r := range lacking {
		if object, ok := forward[r]; ok {
			d.problem(CheckPermissions, object, "whoever carries the plan out may not %s: allow it", r)
		} else {
			d.irreversible("to take it back, whoever does must be allowed to %s", r)
		}
	}
	return nil
}

// lacking are the rights that aren't there, in order.
func (d *draft) lacking(ctx context.Context, lists ...[]right) ([]right, error) {
	var (
		mu  sync.Mutex
		out []right
		g   errgroup.Group
	)
	g.SetLimit(d.Concurrency)
	asked := map[right]bool{}
	for _, r := range slices.Concat(lists...) {
		if asked[r] {
			continue
		}
		asked[r] = true
		g.Go(func() error {
			ok, err := d.may(ctx, r)
			if err == nil && !ok {
				mu.Lock()
				defer mu.Unlock()
				out = append(out, r)
			}
			return err
		})
	}
	err := g.Wait()
	slices.SortFunc(out, func(a, b right) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource), cmp.Compare(a.verb, b.verb))
	})
	return out, err
}

// may asks the API server for one right.
func (d *draft) may(ctx context.Context, r right) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Verb: r.verb, Group: r.group, Resource: r.resource, Namespace: r.namespace,
	}}}
	if err := d.Client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask for the right to %s: %w", r, err)
	}
	return review.Status.Allowed, nil
}
