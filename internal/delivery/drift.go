package delivery

import (
	"context"
	"fmt"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/slipway/internal/apply"
	"github.com/slipway-dev/slipway/internal/apply/observe"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	// conditionDrifted is True while objects differ from what was applied and are left so on request. Otherwise it isn't there.
	conditionDrifted = "Drifted"
	// reasonDrift is the reason of that condition, and of the event that tells of it.
	reasonDrift = "DriftDetected"

	// maxDrifted and maxFields bound what the condition names.
	maxDrifted = 10
	maxFields  = 5
)

// driftMode is what becomes of changes that others make to ref.
func (t *task) driftMode(ref kube.Ref) observe.Mode {
	return t.applier.Mode(ownerOf(t.key()), ref).Or(t.modes.drift).Or(observe.ModeCorrect)
}

// same tells whether the source and the spec are those that were applied before this process started, so that what differs in the cluster
// is drift. Of values that are substituted from elsewhere nobody knows whether they are the same.
func (t *task) same() bool {
	s := &t.obj.Status
	vars := t.obj.Spec.PostBuild != nil && len(t.obj.Spec.PostBuild.SubstituteFrom) > 0
	return s.LastAppliedRevision == t.in.artifact.Revision && s.ObservedGeneration == t.obj.Generation && !vars
}

// tellDrift says in the status, at once, which objects differ from what was applied and are left so.
func (t *task) tellDrift(ctx context.Context, changes []apply.Change) error {
	var lines []string
	for _, c := range changes {
		if c.Action == apply.Drifted && c.Mode == observe.ModeWarn {
			lines = append(lines, driftOf(c))
		}
	}
	t.entry.drifted = len(lines) > 0
	if !t.entry.drifted {
		apimeta.RemoveStatusCondition(&t.obj.Status.Conditions, conditionDrifted)
		return nil
	}
	if more := len(lines) - maxDrifted; more > 0 {
		lines = append(lines[:maxDrifted], fmt.Sprintf("and %d more", more))
	}
	message := fmt.Sprintf("Left as others changed it (%s: warn): %s", observe.AnnotationDrift, strings.Join(lines, "; "))
	if t.condition(conditionDrifted, metav1.ConditionTrue, reasonDrift, message) {
		t.event(reasonDrift, message, true)
		return t.write(ctx)
	}
	return nil
}

func driftOf(c apply.Change) string {
	if len(c.Fields) == 0 {
		return c.Ref.Subject() + " was deleted"
	}
	fields := make([]string, 0, maxFields+1)
	for i, f := range c.Fields {
		if i == maxFields {
			fields = append(fields, fmt.Sprintf("and %d more", len(c.Fields)-maxFields))
			break
		}
		if f.By == "" {
			fields = append(fields, f.Path+" (removed)")
		} else {
			fields = append(fields, fmt.Sprintf("%s (by %s)", f.Path, f.By))
		}
	}
	return fmt.Sprintf("%s differs in %s", c.Ref.Subject(), strings.Join(fields, ", "))
}
