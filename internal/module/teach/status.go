package teach

import (
	"context"
	"fmt"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/kube"
)

// Reasons of the conditions and of events.
const (
	// ReasonInUse is of an Interpreter by which objects are judged.
	ReasonInUse = "InUse"
	// ReasonOverruled is of one that is right, and isn't asked, as another one has the higher priority.
	ReasonOverruled = "Overruled"
	// ReasonInvalid is of one that can't be compiled.
	ReasonInvalid = "Invalid"
	// ReasonTestFailed is of one of which a test fails.
	ReasonTestFailed = "TestFailed"
)

// shown is how many things that are wrong a condition lists.
const shown = 5

// tell writes the status of one Interpreter.
func (t *Teacher) tell(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	all, err := t.all(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	for i := range all {
		if all[i].Name == req.Name && all[i].DeletionTimestamp.IsZero() {
			return ctrl.Result{}, t.write(ctx, &all[i])
		}
	}
	return ctrl.Result{}, nil
}

func (t *Teacher) write(ctx context.Context, before *v1alpha1.Interpreter) error {
	l, ok := t.school.lesson(before)
	if !ok {
		return nil // the cache has moved on meanwhile, and told so
	}
	obj := before.DeepCopy()
	obj.Status.ObservedGeneration = obj.Generation
	rival, overruled := t.school.registry.Rival(obj.Name)
	ready := metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: ReasonInUse, ObservedGeneration: obj.Generation, Message: l.words(obj)}
	switch {
	case l.reason != "":
		ready.Status, ready.Reason = metav1.ConditionFalse, l.reason
	case overruled:
		ready.Reason = ReasonOverruled
		ready.Message = fmt.Sprintf("It is right, but Interpreter %s is asked in its place: that one has the higher priority, or the same and comes first. %s", rival, ready.Message)
	}
	fresh := kube.SetCondition(&obj.Status.Conditions, ready)
	if l.reason != "" {
		stalled := ready
		stalled.Type, stalled.Status = v1alpha1.StalledCondition, metav1.ConditionTrue
		kube.SetCondition(&obj.Status.Conditions, stalled)
	} else {
		apimeta.RemoveStatusCondition(&obj.Status.Conditions, v1alpha1.StalledCondition)
	}
	if _, err := kube.PatchStatus(ctx, t.client, before, obj, fieldManager); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write status: %w", err)
	}
	if fresh {
		t.events.Tell(ctrl.LoggerFrom(ctx), obj, nil, l.reason != "", ready.Reason, ready.Message)
	}
	return nil
}

// words says what became of it.
func (l lesson) words(obj *v1alpha1.Interpreter) string {
	target := interpret.Target{Group: obj.Spec.Target.Group, Kind: obj.Spec.Target.Kind, Versions: obj.Spec.Target.Versions}
	if l.reason == "" {
		tests := fmt.Sprintf("its %d tests hold", l.tests)
		switch l.tests {
		case 0:
			tests = "it has no tests"
		case 1:
			tests = "its test holds"
		}
		return fmt.Sprintf("It says %s of %s; %s", strings.Join(l.teaches, ", "), target, tests)
	}
	wrong := l.wrong
	more := ""
	if len(wrong) > shown {
		wrong, more = wrong[:shown], fmt.Sprintf("; and %d more", len(l.wrong)-shown)
	}
	uses := "None of it is used."
	if l.inUse > 0 {
		uses = fmt.Sprintf("What it was in generation %d stays in use until the agent restarts.", l.inUse)
	}
	return fmt.Sprintf("%s%s. %s Correct it: `slipway module interpret FILE` tries it out", strings.Join(wrong, "; "), more, uses)
}
