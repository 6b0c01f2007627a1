package await

import (
	"encoding/json"
	"fmt"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Ready is content with a Kustomization or source that is Ready, speaks of its
// present spec, and is at a revision. An empty revision leaves it open.
func Ready(revision string) Check {
	return func(obj *unstructured.Unstructured) string {
		ready, missing := readyOf(obj)
		switch {
		case missing != "":
			return missing
		case ready.Status != metav1.ConditionTrue:
			return Describe(ready)
		case revision != "" && Revision(obj) != revision:
			return fmt.Sprintf("it is Ready at %s, not at %s", Revision(obj), revision)
		}
		return ""
	}
}

// Failed is content with an object whose Ready condition is False, speaks of
// its present spec, has the reason (any when empty), and all the words in its
// message.
func Failed(reason string, words ...string) Check {
	return func(obj *unstructured.Unstructured) string {
		ready, missing := readyOf(obj)
		if missing != "" {
			return missing
		}
		if ready.Status != metav1.ConditionFalse || (reason != "" && ready.Reason != reason) {
			return Describe(ready)
		}
		for _, w := range words {
			if !strings.Contains(ready.Message, w) {
				return fmt.Sprintf("no %q in: %s", w, Describe(ready))
			}
		}
		return ""
	}
}

// Gone is content when there is no object.
func Gone(obj *unstructured.Unstructured) string {
	if obj != nil {
		return "it is there"
	}
	return ""
}

// Field is content when a field has a value; nil stands for none.
func Field(want any, path ...string) Check {
	return func(obj *unstructured.Unstructured) string {
		if obj == nil {
			return "it isn't there"
		}
		got, _, err := unstructured.NestedFieldNoCopy(obj.Object, path...)
		if err != nil {
			return err.Error()
		}
		if a, b := asJSON(got), asJSON(want); a != b {
			return fmt.Sprintf("%s is %s, not %s", strings.Join(path, "."), a, b)
		}
		return ""
	}
}

// Available is content with a Deployment or StatefulSet all of whose replicas
// are ready and of the present spec.
func Available(obj *unstructured.Unstructured) string {
	if obj == nil {
		return "it isn't there"
	}
	status := func(field string) int64 {
		n, _, _ := unstructured.NestedInt64(obj.Object, "status", field)
		return n
	}
	want, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	if !found {
		want = 1
	}
	switch {
	case status("observedGeneration") < obj.GetGeneration():
		return "its newest spec isn't observed"
	case status("updatedReplicas") != want, status("replicas") != want, status("readyReplicas") != want:
		return fmt.Sprintf("%d of %d pods are ready, %d new, %d in all", status("readyReplicas"), want, status("updatedReplicas"), status("replicas"))
	}
	return ""
}

// Conditions returns the conditions in an object's status.
func Conditions(obj *unstructured.Unstructured) []metav1.Condition {
	if obj == nil {
		return nil
	}
	raw, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	var found []metav1.Condition
	if err := json.Unmarshal([]byte(asJSON(raw)), &found); err != nil {
		return nil
	}
	return found
}

// Describe puts a condition into one line.
func Describe(c metav1.Condition) string {
	return fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
}

// Revision is the one that a Kustomization has applied or a source has stored.
func Revision(obj *unstructured.Unstructured) string {
	path := []string{"status", "artifact", "revision"}
	if obj.GetKind() == "Kustomization" {
		path = []string{"status", "lastAppliedRevision"}
	}
	revision, _, _ := unstructured.NestedString(obj.Object, path...)
	return revision
}

// readyOf returns the Ready condition when it speaks of the present spec.
func readyOf(obj *unstructured.Unstructured) (metav1.Condition, string) {
	if obj == nil {
		return metav1.Condition{}, "it isn't there"
	}
	ready := apimeta.FindStatusCondition(Conditions(obj), "Ready")
	if ready == nil {
		return metav1.Condition{}, "it has no Ready condition"
	}
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if max(observed, ready.ObservedGeneration) != obj.GetGeneration() {
		return metav1.Condition{}, fmt.Sprintf("generation %d isn't observed; %s", obj.GetGeneration(), Describe(*ready))
	}
	return *ready, ""
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
