package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// FieldOwner is one that says it manages a field of an object.
type FieldOwner struct {
	Manager     string                            `json:"manager"`
	Operation   metav1.ManagedFieldsOperationType `json:"operation"`
	Subresource string                            `json:"subresource,omitempty"`
	Time        time.Time                         `json:"time,omitzero"` // of the last change to what it manages, not to this field alone
}

// FieldOwners lists who manages a field of an object as it was read, by its metadata.managedFields; the latest first. path has
// strings for keys and ints for positions in lists. A field within a list or map that is managed as a whole is its manager's.
func FieldOwners(obj *unstructured.Unstructured, path []any) []FieldOwner {
	var owners []FieldOwner
	for _, entry := range obj.GetManagedFields() {
		if entry.FieldsV1 == nil {
			continue
		}
		var set map[string]json.RawMessage
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &set); err != nil || !manages(set, obj.Object, path) {
			continue
		}
		owner := FieldOwner{Manager: entry.Manager, Operation: entry.Operation, Subresource: entry.Subresource}
		if entry.Time != nil {
			owner.Time = entry.Time.Time
		}
		owners = append(owners, owner)
	}
	slices.SortStableFunc(owners, func(a, b FieldOwner) int { return b.Time.Compare(a.Time) })
	return owners
}

// manages walks down a set of fields, in the form of FieldsV1: "f:KEY", "k:{KEYS}" and "v:VALUE" for elements of lists, "." for the
// thing itself.
func manages(set map[string]json.RawMessage, value any, path []any) bool {
	if len(path) == 0 {
		return true
	}
	if len(set) == 0 {
		return true // managed as a whole
	}
	var (
		child   any
		element string
		found   bool
	)
	switch at := value.(type) {
	case map[string]any:
		key := fmt.Sprint(path[0])
		child, element = at[key], "f:"+key
		_, found = set[element]
	case []any:
		i, ok := path[0].(int)
		if !ok || i >= len(at) {
			return false
		}
		child = at[i]
		element, found = elementOf(set, child, i)
	}
	if !found {
		return false
	}
	var below map[string]json.RawMessage
	if err := json.Unmarshal(set[element], &below); err != nil {
		return false
	}
	return manages(below, child, path[1:])
}

// elementOf finds how a set of fields speaks of an element of a list.
func elementOf(set map[string]json.RawMessage, item any, i int) (string, bool) {
	for element := range set {
		switch kind, rest, _ := strings.Cut(element, ":"); kind {
		case "k":
			var keys map[string]any
			if json.Unmarshal([]byte(rest), &keys) == nil && hasKeys(item, keys) {
				return element, true
			}
		case "v":
			var value any
			if json.Unmarshal([]byte(rest), &value) == nil && fmt.Sprint(value) == fmt.Sprint(item) {
				return element, true
			}
		case "i":
			if rest == fmt.Sprint(i) {
				return element, true
			}
		}
	}
	return "", false
}

func hasKeys(item any, keys map[string]any) bool {
	fields, ok := item.(map[string]any)
	if !ok {
		return false
	}
	for key, want := range keys {
		if fmt.Sprint(fields[key]) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}
