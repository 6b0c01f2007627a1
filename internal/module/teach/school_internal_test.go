package teach

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
)

// TestNamesakes: what was deleted and made again under its name between two looks has nothing of the former.
func TestNamesakes(t *testing.T) {
	s := &school{registry: interpret.NewRegistry(), lessons: map[string]lesson{}}
	boats := schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Boat"}
	one := func(uid types.UID, when string) []v1alpha1.Interpreter {
		return []v1alpha1.Interpreter{{
			ObjectMeta: metav1.ObjectMeta{Name: "boat", UID: uid, Generation: 1},
			Spec:       v1alpha1.InterpreterSpec{Target: v1alpha1.InterpreterTarget{Group: boats.Group, Kind: boats.Kind}, Health: []v1alpha1.HealthRule{{State: "Healthy", When: when}}},
		}}
	}
	steps := []struct {
		reason string
		all    []v1alpha1.Interpreter
		used   bool
	}{
		{"a good one", one("a", "true"), true},
		{"the same once more", one("a", "true"), true},
		{"a namesake that is wrong", one("b", "no"), false},
		{"a namesake that is good", one("c", "true"), true},
		{"one that is being deleted isn't used any more", deleting(one("c", "true")), false},
		{"and one that is back is", one("d", "true"), true},
		{"nothing", nil, false},
	}
	for _, step := range steps {
		s.sync(step.all)
		boat := &unstructured.Unstructured{}
		boat.SetGroupVersionKind(boats)
		if _, by := s.registry.Interpret(boat); (by != "") != step.used {
			t.Errorf("%s: used is %t", step.reason, !step.used)
		}
	}
}

func deleting(all []v1alpha1.Interpreter) []v1alpha1.Interpreter {
	now := metav1.Now()
	all[0].DeletionTimestamp = &now
	return all
}
