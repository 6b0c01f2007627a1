package attempt

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/revision"
)

// rollBack takes an attempt back. Nothing that only the new revision has is removed before the old one is healthy again, except for what
// intercepts requests: a webhook that nobody answers would stand in the way of everything else.
func (t *task) rollBack(ctx context.Context) (lifecycle.Event, error) {
	s, event, err := t.loaded(ctx)
	if s == nil || err != nil {
		return event, err
	}
	if done, err := t.restoreDefinitions(ctx, step(s.current, v1alpha1.StepDefinitions)); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepDefinitions, err)
	}
	if done, err := t.prune(ctx, only(s.added(), v1alpha1.StepWebhooks), s); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepWebhooks, err)
	}
	if name, done, err := t.reapply(ctx, s); err != nil || !done {
		return t.pending(ctx, name, err)
	}
	if s.current != nil && !t.healthy(ctx, s.judged(revision.Objects(s.current.Steps))) {
		return t.pending(ctx, v1alpha1.StepWorkloads, nil)
	}
	if done, err := t.prune(ctx, s.added(), s); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepWorkloads, err)
	}
	if _, done, err := t.put(ctx, step(s.current, v1alpha1.StepRoles)); err != nil || !done {
		return t.pending(ctx, v1alpha1.StepRoles, err)
	}
	return lifecycle.Done, nil
}

// backwards is the order in which steps of the old revision are applied again: what intercepts requests as it was, then what workloads
// need, then the workloads.
func backwards() []v1alpha1.RevisionStep {
	return []v1alpha1.RevisionStep{
		v1alpha1.StepWebhooks, v1alpha1.StepNamespaces, v1alpha1.StepRoles, v1alpha1.StepConfiguration, v1alpha1.StepWorkloads,
	}
}

// reapply applies the old revision, with roles that still allow what the new one needs, and puts back what was no revision's.
func (t *task) reapply(ctx context.Context, s *sets) (v1alpha1.RevisionStep, bool, error) {
	for _, name := range backwards() {
		objects := step(s.current, name)
		if name == v1alpha1.StepRoles && s.current != nil {
			objects = widened(objects, s.others(s.current, name)...)
		}
		if _, done, err := t.put(ctx, objects); err != nil || !done {
			return name, false, err
		}
	}
	for _, was := range s.before() {
		if err := t.putBack(ctx, was); err != nil {
			return revision.StepOf(kube.RefOf(was).GroupKind()), false, err
		}
	}
	return "", true, nil
}

// putBack makes an object what it was before the module took it over, and its fields belong to those whose they were. One that the attempt
// hasn't touched, or that is as it was, is left alone.
func (t *task) putBack(ctx context.Context, was *unstructured.Unstructured) error {
	ref := kube.RefOf(was)
	resource, err := t.resourceOf(ref)
	if err != nil {
		if meta.IsNoMatchError(err) {
			return nil
		}
		return fmt.Errorf("put %s back: %w", ref.Subject(), err)
	}
	live, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = resource.Create(ctx, kube.Bare(was, []string{"status"}), metav1.CreateOptions{FieldManager: plan.Manager(t.m.Name)})
		return wrap(err, "put %s back", ref.Subject())
	}
	if err != nil {
		return fmt.Errorf("put %s back: %w", ref.Subject(), err)
	}
	if !t.touched(live) {
		return nil
	}
	if live.GetLabels()[Group+"/name"] == t.m.Name {
		then := kube.Bare(was, []string{"status"})
		then.SetResourceVersion(live.GetResourceVersion())
		if live, err = resource.Update(ctx, then, metav1.UpdateOptions{FieldManager: plan.Manager(t.m.Name)}); err != nil {
			return fmt.Errorf("put %s back: %w", ref.Subject(), err)
		}
	}
	return t.disown(ctx, resource, live, was)
}

// touched tells whether the module has written an object.
func (t *task) touched(live *unstructured.Unstructured) bool {
	for _, e := range live.GetManagedFields() {
		if e.Manager == plan.Manager(t.m.Name) {
			return true
		}
	}
	return live.GetLabels()[Group+"/name"] == t.m.Name
}

// disown gives the fields of an object back to those whose they were.
func (t *task) disown(ctx context.Context, resource dynamic.ResourceInterface, live, was *unstructured.Unstructured) error {
	entries := was.GetManagedFields()
	if len(entries) == 0 {
		entries = []metav1.ManagedFieldsEntry{{}} // the API server understands: nobody's
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()},
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
	})
	if err != nil {
		return fmt.Errorf("write a patch: %w", err)
	}
	_, err = resource.Patch(ctx, was.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: plan.Manager(t.m.Name)})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return wrap(err, "give back the fields of %s", kube.RefOf(was).Subject())
}

// resourceOf is where an object is read and written.
func (t *task) resourceOf(ref kube.Ref) (dynamic.ResourceInterface, error) {
	cl, err := t.Clients.For(kube.Identity{})
	if err != nil {
		return nil, err
	}
	m, err := t.Clients.Mapping(ref.GroupKind(), ref.Version)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return cl.Dynamic.Resource(m.Resource), nil
	}
	return cl.Dynamic.Resource(m.Resource).Namespace(ref.Namespace), nil
}

// wrap says what was being done, if it failed.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", strings.TrimSpace(fmt.Sprintf(format, args...)), err)
}
