package delivery

import (
	"context"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/kube"
	"github.com/slipway-dev/slipway/internal/telemetry"
)

// The steps of an attempt, measured.

func (t *task) build(ctx context.Context) (*build.Result, error) {
	run := telemetry.From(ctx)
	run.Input(t.in.artifact.Revision, t.in.artifact.Digest)
	ctx, end := telemetry.Build.Begin(ctx)
	built, err := t.builder.Build(ctx, t.inputs.For(t.in.snapshot, t.obj.Spec.Path, t.obj.Spec))
	if err != nil {
		run.Built(telemetry.Failed)
		end(err)
		return built, err
	}
	run.Built(telemetry.Made)
	end(nil, telemetry.Int("objects", len(built.Objects)))
	return built, nil
}

func (t *task) apply(ctx context.Context, objs []*unstructured.Unstructured, opts apply.Options) (*apply.Result, error) {
	ctx, end := telemetry.Apply.Begin(ctx, telemetry.Int("objects", len(objs)))
	result, err := t.applier.Apply(ctx, objs, opts)
	end(err)
	return result, err
}

func (t *task) prune(ctx context.Context, stale []kube.Ref, opts apply.Options) ([]apply.Change, error) {
	ctx, end := telemetry.Prune.Begin(ctx, telemetry.Int("objects", len(stale)))
	pruned, err := t.applier.Prune(ctx, stale, opts)
	end(err)
	return pruned, err
}

// waited tells how long the health of objects was waited for, if that ends now. err is why it did not come.
func (t *task) waited(ctx context.Context, err error) {
	if w := t.entry.wait; w.state == waitOpen {
		telemetry.From(ctx).Waited(w.trace, w.started, len(w.refs), err)
	}
}

// unaffected records a revision that changed no file that the last build read, or answers a request.
func (t *task) unaffected(ctx context.Context) (ctrl.Result, error) {
	if t.facts.revision {
		telemetry.From(ctx).Built(telemetry.Skipped)
	}
	return t.succeed(ctx, false)
}

// countDrift counts what was found changed by others and was put back. In a sweep that is what no watch told of: with those that did
// tell, the attempt would not have waited for the sweep.
func (t *task) countDrift(ctx context.Context, before *past, changes []apply.Change) {
	left, corrected := 0, 0
	for _, c := range changes {
		switch {
		case c.Action == apply.Drifted:
			left++
		case c.Drift:
			corrected++
		}
	}
	run := telemetry.From(ctx)
	run.Drift(left+corrected, corrected)
	if f := t.facts; f.sweep && !f.drifted && before != nil && !before.failed && !f.generation && !f.inputs && !f.content && !f.pending {
		run.Sweep(found(changes))
	}
}

// found counts what a sweep had to change, though nothing else had changed.
func found(changes []apply.Change) int {
	n := 0
	for _, c := range changes {
		if c.Action != apply.Unchanged && c.Action != apply.Skipped && c.Action != apply.Drifted {
			n++
		}
	}
	return n
}

// countContested tells how many objects others keep changing back.
func (t *task) countContested(ctx context.Context) {
	if len(t.entry.contest) > 0 {
		telemetry.From(ctx).Contested(t.entry.contest.ongoing(t.opts.Clock.Now()))
	}
}

// delivered times a revision that the object is ready with for the first time.
func (t *task) delivered(ctx context.Context) {
	source := sourceKey(t.obj)
	telemetry.From(ctx).Delivered(telemetry.Object{Kind: t.obj.Spec.SourceRef.Kind, Namespace: source.Namespace, Name: source.Name},
		t.in.artifact.Revision, t.obj.CreationTimestamp.Time)
}

// resources tells the state of all Kustomizations.
func (r *KustomizationReconciler) resources(s *telemetry.Scrape) {
	var all kustomizev1.KustomizationList
	if err := r.client.List(context.Background(), &all, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.Log.Error(err, "list Kustomizations for metrics")
		return
	}
	for i := range all.Items {
		k := &all.Items[i]
		res := resourceOf(k, kustomizev1.GroupVersion.Group, kustomizev1.GroupVersion.Version, kustomizev1.KustomizationKind, k.Status.Conditions)
		res.Suspended, res.Revision, res.Source, res.Managed = k.Spec.Suspend, k.Status.LastAppliedRevision, k.Spec.SourceRef.Name, 0
		if k.Status.Inventory != nil {
			res.Managed = len(k.Status.Inventory.Entries)
		}
		s.Resource(res)
	}
}

func resourceOf(obj client.Object, group, version, kind string, conditions []metav1.Condition) telemetry.Resource {
	res := telemetry.Resource{
		Object: telemetry.Object{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}, Group: group, Version: version, Managed: -1,
	}
	if ready := apimeta.FindStatusCondition(conditions, meta.ReadyCondition); ready != nil {
		res.Ready, res.Reason = string(ready.Status), ready.Reason
	}
	return res
}

// watchesOf tells how the watches of pools are.
func watchesOf(pool *observe.Pool) telemetry.Facts {
	return func(s *telemetry.Scrape) {
		open, failing, objects := 0, 0, 0
		for _, w := range pool.Watches() {
			objects += w.Objects
			if w.Err != nil {
				failing++
			} else {
				open++
			}
		}
		s.Watches(open, failing, objects)
	}
}
