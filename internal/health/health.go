package health

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// State is the gist of a Verdict.
type State string

const (
	// Healthy is an object that is as its spec says, as far as it can be seen.
	Healthy State = "Healthy"
	// Progressing is an object to which something has still to happen, and nothing says that it won't.
	Progressing State = "Progressing"
	// Degraded is an object whose controller has given up, or reports a failure that does
	// not go away by waiting.
	Degraded State = "Degraded"
	// Unknown is an object that cannot be judged.
	Unknown State = "Unknown"
)

// Verdict is what Assess says of an object.
type Verdict struct {
	State State
	// Reason in one CamelCase word: the condition's own where there is one.
	Reason string
	// Message for people: what the object waits for, or what is wrong with it.
	Message string
}

// Assess judges an object as it was read from the API server. An object without a
// body (metadata only) is judged by its metadata. It never panics.
func Assess(obj *unstructured.Unstructured) (verdict Verdict) {
	if obj == nil || len(obj.Object) == 0 {
		return Verdict{Unknown, "NoObject", "there is no object to judge"}
	}
	defer func() {
		if recover() != nil { // kstatus trusts the shape of a status
			verdict = Verdict{Unknown, "MalformedStatus", "the status does not have the shape that its kind has"}
		}
	}()
	o := object{obj.Object}
	if v, decided := beforeAll(o); decided {
		return v
	}
	if rule, ok := ruleFor(groupKind(obj)); ok {
		return rule(o)
	}
	return convention(obj)
}

// NeedsBody says whether judging a kind takes more than an object's metadata. False
// for kinds that are healthy by being there.
func NeedsBody(gvk schema.GroupVersionKind) bool {
	_, byExisting := inert[gvk.GroupKind()]
	return !byExisting
}

// HealthyWhenGone says whether an object that was applied and is no longer there has
// done its work: a Job that removes itself some time after it has finished.
func HealthyWhenGone(applied *unstructured.Unstructured) bool {
	if applied == nil || groupKind(applied) != (schema.GroupKind{Group: "batch", Kind: "Job"}) {
		return false
	}
	_, set := object{applied.Object}.number("spec", "ttlSecondsAfterFinished")
	return set
}

func groupKind(obj *unstructured.Unstructured) schema.GroupKind {
	// GetAPIVersion and GetKind tolerate other types than text, GroupVersionKind
	// tolerates malformed versions.
	return obj.GroupVersionKind().GroupKind()
}

func healthy(reason, format string, args ...any) Verdict {
	return Verdict{Healthy, reason, fmt.Sprintf(format, args...)}
}

func progressing(reason, format string, args ...any) Verdict {
	return Verdict{Progressing, reason, fmt.Sprintf(format, args...)}
}

func degraded(reason, format string, args ...any) Verdict {
	return Verdict{Degraded, reason, fmt.Sprintf(format, args...)}
}
