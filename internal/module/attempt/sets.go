package attempt

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// sets are the revisions that an attempt is about.
type sets struct {
	// current is what was committed last; nil: nothing.
	current *revision.Revision
	// over are those of frozen attempts that next goes over, the earliest first.
	over []*revision.Revision
	// next is what the attempt leads to.
	next *revision.Revision
	// baseline are the objects that weren't healthy before, as subjects.
	baseline map[string]bool
}

// attemptSets returns the revisions of the attempt, read once for each attempt.
func (t *task) attemptSets(ctx context.Context) (*sets, error) {
	if s := t.entry.sets; s != nil {
		return s, nil
	}
	a := t.m.Status.Attempt
	s := &sets{baseline: map[string]bool{}}
	var err error
	if c := t.m.Status.Current; c != nil {
		if s.current, err = t.Store.Load(ctx, c.Revision); err != nil {
			return nil, err
		}
	}
	for _, name := range a.Over {
		one, err := t.Store.Load(ctx, name)
		if err != nil {
			return nil, err
		}
		s.over = append(s.over, one)
	}
	if s.next, err = t.Store.Load(ctx, a.Target.Revision); err != nil {
		return nil, err
	}
	if err := t.readBaseline(ctx, s); err != nil {
		return nil, err
	}
	t.entry.sets = s
	return s, nil
}

func (t *task) readBaseline(ctx context.Context, s *sets) error {
	content, err := t.Store.Get(ctx, s.next.Object.Spec.Plan)
	if err != nil {
		return err
	}
	p := &plan.Plan{}
	if err := json.Unmarshal(content, p); err != nil {
		return fmt.Errorf("read the plan of revision %s: %w", s.next.Object.Name, err)
	}
	for _, one := range p.Baseline {
		s.baseline[one.Object] = true
	}
	return nil
}

// all are the revisions of the attempt; one of them may be nil.
func (s *sets) all() []*revision.Revision {
	return append([]*revision.Revision{s.current, s.next}, s.over...)
}

// others are the objects of a step in the revisions beside one: those that may be in the cluster, too.
func (s *sets) others(but *revision.Revision, name v1alpha1.RevisionStep) [][]*unstructured.Unstructured {
	var all [][]*unstructured.Unstructured
	for _, r := range s.all() {
		if r != nil && r != but {
			all = append(all, step(r, name))
		}
	}
	return all
}

// before is how objects were that belonged to no revision when they were met first, and that the current revision hasn't.
func (s *sets) before() []*unstructured.Unstructured {
	met := map[kube.Ref]bool{}
	for _, ref := range refsOf(s.current) {
		met[ref.Unversioned()] = true
	}
	var all []*unstructured.Unstructured
	for _, r := range append(slices.Clone(s.over), s.next) {
		for _, o := range r.Before {
			if ref := kube.RefOf(o).Unversioned(); !met[ref] {
				met[ref] = true
				all = append(all, o)
			}
		}
	}
	return all
}

// added are the objects that the attempt has brought, and that weren't there before: what a rollback removes.
func (s *sets) added() []kube.Ref {
	stays := refsOf(s.current)
	for _, o := range s.before() {
		stays = append(stays, kube.RefOf(o))
	}
	return apply.Diff(refsOf(append([]*revision.Revision{s.next}, s.over...)...), stays)
}

// dropped are the objects that the next revision hasn't any more: what a commit prunes.
func (s *sets) dropped() []kube.Ref {
	return apply.Diff(refsOf(append([]*revision.Revision{s.current}, s.over...)...), refsOf(s.next))
}

// step returns the objects of a step of a revision.
func step(r *revision.Revision, name v1alpha1.RevisionStep) []*unstructured.Unstructured {
	if r == nil {
		return nil
	}
	for _, s := range r.Steps {
		if s.Name == name {
			return s.Objects
		}
	}
	return nil
}

// refsOf lists the objects of revisions, each once; nil is no revision.
func refsOf(revisions ...*revision.Revision) []kube.Ref {
	met := map[kube.Ref]bool{}
	var refs []kube.Ref
	for _, r := range revisions {
		if r == nil {
			continue
		}
		for _, o := range revision.Objects(r.Steps) {
			if ref := kube.RefOf(o); !met[ref.Unversioned()] {
				met[ref.Unversioned()] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// FoundBy lists the objects that were there before these revisions; nil is no revision.
func FoundBy(revisions ...*revision.Revision) []kube.Ref {
	var refs []kube.Ref
	for _, r := range revisions {
		if r == nil {
			continue
		}
		for _, o := range r.Before {
			refs = append(refs, kube.RefOf(o))
		}
	}
	return refs
}

// only returns the references whose step one of these is.
func only(refs []kube.Ref, names ...v1alpha1.RevisionStep) []kube.Ref {
	return slices.DeleteFunc(slices.Clone(refs), func(ref kube.Ref) bool { return !slices.Contains(names, revision.StepOf(ref.GroupKind())) })
}

// but returns the references whose step none of these is.
func but(refs []kube.Ref, names ...v1alpha1.RevisionStep) []kube.Ref {
	return slices.DeleteFunc(slices.Clone(refs), func(ref kube.Ref) bool { return slices.Contains(names, revision.StepOf(ref.GroupKind())) })
}
