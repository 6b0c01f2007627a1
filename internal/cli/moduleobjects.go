package cli

import (
	"cmp"
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/deploy"
	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// moduleObject is an object of a module, and how it is.
type moduleObject struct {
	Step    v1alpha1.RevisionStep `json:"step"`
	Object  string                `json:"object"`
	Health  health.State          `json:"health"`
	Reason  string                `json:"reason,omitempty"`
	Message string                `json:"message,omitempty"`
}

// moduleObjects reads the objects of modules, and judges them as the agent does.
type moduleObjects struct {
	cluster   *cluster
	store     *revision.Store
	registry  *interpret.Registry
	revisions map[string]*revision.Revision // what never changes is read once
}

func newModuleObjects(c *cluster) *moduleObjects {
	return &moduleObjects{cluster: c, store: revision.NewStore(c, deploy.Namespace), revisions: map[string]*revision.Revision{}}
}

// shownRevision is the revision whose objects tell most: the one that is being installed, else the one that is.
func shownRevision(m *v1alpha1.Module) string {
	if m.Spec.Source.Builtin != nil {
		return "" // what is part of Slipway has no objects
	}
	if attempt := m.Status.Attempt; attempt != nil && attempt.Target.Revision != "" && m.Status.Phase != v1alpha1.PhaseRollingBack {
		return attempt.Target.Revision
	}
	if m.Status.Current != nil {
		return m.Status.Current.Revision
	}
	return ""
}

// load reads a revision with its objects.
func (o *moduleObjects) load(ctx context.Context, name string) (*revision.Revision, error) {
	if r, ok := o.revisions[name]; ok {
		return r, nil
	}
	r, err := o.store.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	o.revisions[name] = r
	return r, nil
}

// of returns the objects of a module in the order of its steps; none, if nothing was begun.
func (o *moduleObjects) of(ctx context.Context, m *v1alpha1.Module) ([]moduleObject, error) {
	name := shownRevision(m)
	if name == "" {
		return nil, nil
	}
	r, err := o.load(ctx, name)
	if err != nil {
		return nil, err
	}
	if o.registry == nil {
		if o.registry, err = o.cluster.interpreters(ctx); err != nil {
			return nil, err
		}
	}
	var (
		all    []moduleObject
		stored []*unstructured.Unstructured
	)
	for _, step := range r.Steps {
		for _, obj := range step.Objects {
			all = append(all, moduleObject{Step: step.Name, Object: kube.RefOf(obj).Subject()})
			stored = append(stored, obj)
		}
	}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(treeReads)
	for i := range all {
		reads.Go(func() error { return o.judge(ctx, stored[i], &all[i]) })
	}
	return all, reads.Wait()
}

// judge reads an object as it is now.
func (o *moduleObjects) judge(ctx context.Context, wanted *unstructured.Unstructured, into *moduleObject) error {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(wanted.GroupVersionKind())
	err := o.cluster.Get(ctx, client.ObjectKeyFromObject(wanted), live)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case apierrors.IsNotFound(err) || apimeta.IsNoMatchError(err):
		into.Health, into.Message = stateMissing, "it isn't in the cluster"
		return nil
	case err != nil:
		into.Health, into.Message = health.Unknown, fmt.Sprintf("it can't be read: %v", err)
		return nil
	}
	v := o.registry.Assess(live)
	into.Health, into.Reason, into.Message = v.State, v.Reason, cmp.Or(v.Message, v.Reason)
	return nil
}
