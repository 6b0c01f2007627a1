package v1alpha1_test

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health"
)

// TestConditionsAreReadByKstatus: kubectl wait, Flux and our own health rules understand the conditions of each kind that has some.
func TestConditionsAreReadByKstatus(t *testing.T) {
	condition := func(kind string, value metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: kind, Status: value, Reason: "Tested", Message: "tested", ObservedGeneration: 2}
	}
	cases := map[string]struct {
		reason     string
		conditions []metav1.Condition
		observed   int64
		kstatus    status.Status
		health     health.State
	}{
		"Ready":       {"what is wanted is there", []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionTrue)}, 2, status.CurrentStatus, health.Healthy},
		"Reconciling": {"the agent is at work", []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionFalse), condition(v1alpha1.ReconcilingCondition, metav1.ConditionTrue)}, 2, status.InProgressStatus, health.Progressing},
		"Stalled":     {"a person has to do something", []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionFalse), condition(v1alpha1.StalledCondition, metav1.ConditionTrue)}, 2, status.FailedStatus, health.Degraded},
		"Behind":      {"the spec has changed since", []metav1.Condition{condition(v1alpha1.ReadyCondition, metav1.ConditionTrue)}, 1, status.InProgressStatus, health.Progressing},
	}
	type conditioned interface {
		client.Object
		GetConditions() []metav1.Condition
		SetConditions([]metav1.Condition)
	}
	for name, tc := range cases {
		for _, kind := range []string{v1alpha1.ModuleKind, v1alpha1.ModuleRevisionKind, v1alpha1.InterpreterKind, v1alpha1.AgentUpgradeKind} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				obj := typed(t, kind).(conditioned)
				obj.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
				obj.SetGeneration(2)
				obj.SetConditions(tc.conditions)
				if len(obj.GetConditions()) != len(tc.conditions) {
					t.Fatal("the conditions aren't kept")
				}
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
				if err != nil {
					t.Fatal(err)
				}
				u := &unstructured.Unstructured{Object: content}
				if err := unstructured.SetNestedField(u.Object, tc.observed, "status", "observedGeneration"); err != nil {
					t.Fatal(err)
				}
				if got, err := status.Compute(u); err != nil || got.Status != tc.kstatus {
					t.Errorf("%s: kstatus says %v, %v, want %s", tc.reason, got, err, tc.kstatus)
				}
				if got := health.Assess(u); got.State != tc.health {
					t.Errorf("%s: health says %+v, want %s", tc.reason, got, tc.health)
				}
			})
		}
	}
}
