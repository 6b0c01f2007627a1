package kube

import (
	"cmp"
	"slices"
	"unicode/utf8"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SetCondition puts a condition into a list, and tells whether the list says something else now. The time of the last transition
// moves only when the status does. Messages are cut to what Flux's API allows. Ready comes first, the others follow by type.
func SetCondition(conditions *[]metav1.Condition, c metav1.Condition) (changed bool) {
	c.Message = Cut(c.Message, kustomizev1.MaxConditionMessageLength)
	changed = meta.SetStatusCondition(conditions, c)
	slices.SortStableFunc(*conditions, func(a, b metav1.Condition) int {
		return cmp.Or(cmp.Compare(rank(a.Type), rank(b.Type)), cmp.Compare(a.Type, b.Type))
	})
	return changed
}

func rank(conditionType string) int {
	if conditionType == "Ready" {
		return 0
	}
	return 1
}

// Cut shortens a text to at most limit bytes, between characters, and marks that it did.
func Cut(s string, limit int) string {
	const mark = "…"
	if len(s) <= limit {
		return s
	}
	end := limit - len(mark)
	if end < 0 {
		return ""
	}
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
