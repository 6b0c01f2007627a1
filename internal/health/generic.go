package health

import (
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// beforeAll decides what is decided in the same way for every kind.
func beforeAll(o object) (Verdict, bool) {
	if v, decided := changing(o); decided {
		return v, true
	}
	if c, ok := o.condition("Stalled"); ok && c.isTrue() && !c.stale(o) {
		return degraded(c.because("Stalled"), "%s", c.says("its controller has given up until it is changed")), true
	}
	if c, ok := o.condition("Reconciling"); ok && c.isTrue() {
		return progressing(c.because("Reconciling"), "%s", c.says("its controller is at work")), true
	}
	return Verdict{}, false
}

// Changing decides for objects of which the rest of the status need not be true any more: those that are being deleted, and those whose
// controller has not seen the latest generation. They are Progressing, whatever their kind.
func Changing(obj *unstructured.Unstructured) (Verdict, bool) {
	if obj == nil {
		return Verdict{}, false
	}
	return changing(object{obj.Object})
}

// changing decides for objects of which the rest of the status need not be true any more.
func changing(o object) (Verdict, bool) {
	if o.has("metadata", "deletionTimestamp") {
		return terminating(o), true
	}
	generation, hasGeneration := o.number("metadata", "generation")
	observed, hasObserved := o.number("status", "observedGeneration")
	if hasGeneration && hasObserved && observed != generation {
		return progressing("GenerationNotObserved",
			"its controller has not seen the latest change yet (generation %d, seen %d)", generation, observed), true
	}
	return Verdict{}, false
}

// notObserved is the verdict on an object without a word of its controller.
func notObserved() Verdict { return progressing("NotObserved", "its controller has not seen it yet") }

// outdated is the verdict on an object whose decisive condition is about an earlier generation.
func outdated() Verdict {
	return progressing("GenerationNotObserved", "its controller has not seen the latest change yet")
}

func terminating(o object) Verdict {
	waitsFor := o.texts("metadata", "finalizers")
	waitsFor = append(waitsFor, o.texts("spec", "finalizers")...)
	for _, kind := range []string{
		"NamespaceDeletionDiscoveryFailure", "NamespaceDeletionGroupVersionParsingFailure",
		"NamespaceDeletionContentFailure", "NamespaceContentRemaining", "NamespaceFinalizersRemaining",
	} {
		if c, ok := o.condition(kind); ok && c.isTrue() {
			return progressing("Terminating", "being deleted: %s", c.says(kind))
		}
	}
	if len(waitsFor) > 0 {
		return progressing("Terminating", "being deleted; waits for the finalizers %s", strings.Join(waitsFor, ", "))
	}
	return progressing("Terminating", "being deleted")
}

// convention judges kinds that have no rule by the conventions that kstatus reads:
// a Ready condition, or, without one, being there.
func convention(obj *unstructured.Unstructured) Verdict {
	o := object{obj.Object}
	if c, ok := o.condition("Ready"); ok {
		return ready(o, c)
	}
	result, err := status.Compute(obj)
	if err != nil {
		return Verdict{Unknown, "MalformedStatus", "the status does not have the shape that its kind has"}
	}
	reason := "Current"
	if len(result.Conditions) > 0 {
		reason = result.Conditions[0].Reason
	}
	switch result.Status {
	case status.CurrentStatus:
		return healthy(reason, "exists; its kind has no conditions to judge it by")
	case status.FailedStatus:
		return degraded(reason, "%s", result.Message)
	case status.InProgressStatus, status.TerminatingStatus:
		return progressing(reason, "%s", result.Message)
	default:
		return Verdict{Unknown, reason, result.Message}
	}
}

// ready judges by a Ready condition. Ready=False may be a step on the way or a failure;
// there is no telling, so it counts as the former until Stalled says otherwise.
func ready(o object, c condition) Verdict {
	switch {
	case c.stale(o):
		return outdated()
	case c.isTrue():
		return healthy(c.because("Ready"), "%s", c.says("ready"))
	default:
		return progressing(c.because("NotReady"), "%s", c.says("not ready"))
	}
}

// exists is the rule of kinds that are healthy by being there.
func exists(object) Verdict { return healthy("Exists", "exists") }
