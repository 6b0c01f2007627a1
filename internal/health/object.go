package health

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object reads fields of any shape without failing: what is not there, or is of
// another type, is absent.
type object struct{ fields map[string]any }

func (o object) text(path ...string) string {
	value, _, _ := unstructured.NestedFieldNoCopy(o.fields, path...)
	s, _ := value.(string)
	return s
}

func (o object) truth(path ...string) bool {
	value, _, _ := unstructured.NestedFieldNoCopy(o.fields, path...)
	b, _ := value.(bool)
	return b
}

func (o object) number(path ...string) (int64, bool) {
	value, _, _ := unstructured.NestedFieldNoCopy(o.fields, path...)
	switch n := value.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case float64:
		return int64(n), true
	}
	return 0, false
}

func (o object) numberOr(fallback int64, path ...string) int64 {
	if n, ok := o.number(path...); ok {
		return n
	}
	return fallback
}

// list gives the entries of a list that are objects.
func (o object) list(path ...string) []object {
	value, _, _ := unstructured.NestedFieldNoCopy(o.fields, path...)
	entries, _ := value.([]any)
	objects := make([]object, 0, len(entries))
	for _, e := range entries {
		if fields, ok := e.(map[string]any); ok {
			objects = append(objects, object{fields})
		}
	}
	return objects
}

func (o object) texts(path ...string) []string {
	value, _, _ := unstructured.NestedFieldNoCopy(o.fields, path...)
	entries, _ := value.([]any)
	var all []string
	for _, e := range entries {
		if s, ok := e.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func (o object) has(path ...string) bool {
	value, found, _ := unstructured.NestedFieldNoCopy(o.fields, path...)
	return found && value != nil
}

// condition is one of an object's conditions.
type condition struct {
	Type, Status, Reason, Message string
	observed                      int64
	hasObserved                   bool
}

func (c condition) isTrue() bool  { return c.Status == "True" }
func (c condition) isFalse() bool { return c.Status == "False" }

// because gives the condition's reason, or another when it has none.
func (c condition) because(fallback string) string { return cmp.Or(c.Reason, fallback) }

// says gives the condition's message, or another when it has none.
func (c condition) says(fallback string) string {
	return cmp.Or(strings.TrimSpace(c.Message), fallback)
}

// stale says whether the condition speaks of an older generation of o.
func (c condition) stale(o object) bool {
	generation, ok := o.number("metadata", "generation")
	return ok && c.hasObserved && c.observed < generation
}

// conditions gives the conditions in a list.
func (o object) conditions(path ...string) []condition {
	entries := o.list(path...)
	all := make([]condition, 0, len(entries))
	for _, e := range entries {
		c := condition{Type: e.text("type"), Status: e.text("status"), Reason: e.text("reason"), Message: e.text("message")}
		c.observed, c.hasObserved = e.number("observedGeneration")
		all = append(all, c)
	}
	return all
}

// condition finds one of status.conditions.
func (o object) condition(kind string) (condition, bool) {
	return find(o.conditions("status", "conditions"), kind)
}

func find(conditions []condition, kind string) (condition, bool) {
	for _, c := range conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return condition{}, false
}
