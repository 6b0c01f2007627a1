package builtin

import (
	"context"
	"fmt"
	"slices"

	"github.com/fluxcd/pkg/apis/meta"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/kube"
)

// words are what conditions and events say of a module.
type words struct {
	reason, message             string
	ready, reconciling, stalled bool
}

// settle writes how the module is, if that is something else than before, and tells of it.
func (t *task) settle(ctx context.Context, phase v1alpha1.ModulePhase, w words) error {
	s := &t.m.Status
	s.ObservedGeneration = t.m.Generation
	s.LastHandledReconcileAt = t.m.Annotations[meta.ReconcileRequestAnnotation]
	if s.Phase != phase {
		s.Phase, s.PhaseSince = phase, &t.now
	}
	for _, r := range t.references() {
		r.Package = t.m.Spec.Source.Builtin.Name // by which packages may require it
	}
	t.condition(v1alpha1.ReadyCondition, w.ready, w)
	for kind, is := range map[string]bool{v1alpha1.ReconcilingCondition: w.reconciling, v1alpha1.StalledCondition: w.stalled} {
		if is {
			t.condition(kind, true, w)
		} else {
			apimeta.RemoveStatusCondition(&s.Conditions, kind)
		}
	}
	if apiequality.Semantic.DeepEqual(t.before.Status, *s) {
		t.Metrics.Show(t.m, phase)
		return nil
	}
	version, err := kube.PatchStatus(ctx, t.Direct, t.before, t.m, fieldOwner)
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	t.entry.written.Is(t.m, version)
	t.Metrics.Show(t.m, t.before.Status.Phase)
	t.tell(w)
	t.before = t.m.DeepCopy()
	return nil
}

// references are what the status refers to.
func (t *task) references() []*v1alpha1.RevisionReference {
	s := &t.m.Status
	all := []*v1alpha1.RevisionReference{s.Current, s.Target}
	if s.Attempt != nil {
		all = append(all, &s.Attempt.Target)
	}
	return slices.DeleteFunc(all, func(r *v1alpha1.RevisionReference) bool { return r == nil })
}

func (t *task) condition(kind string, is bool, w words) {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	kube.SetCondition(&t.m.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: w.reason, Message: w.message, ObservedGeneration: t.m.Generation, LastTransitionTime: t.now,
	})
}

// tell records an event of what is new, in the words of the conditions.
func (t *task) tell(w words) {
	was := apimeta.FindStatusCondition(t.before.Status.Conditions, v1alpha1.ReadyCondition)
	is := apimeta.FindStatusCondition(t.m.Status.Conditions, v1alpha1.ReadyCondition)
	if was != nil && was.Reason == is.Reason && was.Message == is.Message {
		return
	}
	details := map[string]string{}
	for _, r := range []*v1alpha1.RevisionReference{t.m.Status.Current, t.m.Status.Target} {
		if r != nil {
			details["version"], details["digest"] = r.Version, string(r.Digest)
		}
	}
	t.log.Info(is.Message, "reason", is.Reason, "version", details["version"], "digest", details["digest"])
	if t.Events != nil {
		t.Events.Event(t.m, details, w.stalled || t.m.Status.Phase == v1alpha1.PhaseRollingBack, is.Reason, is.Message)
	}
	if t.Changed != nil && (was == nil || was.Status != is.Status || !apiequality.Semantic.DeepEqual(t.before.Status.Current, t.m.Status.Current)) {
		t.Changed()
	}
}
