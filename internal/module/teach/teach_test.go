package teach_test

import (
	"io/fs"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpreters"
	"github.com/slipway-dev/slipway/internal/module/teach"
)

const yes, no = metav1.ConditionTrue, metav1.ConditionFalse

func TestInterpreterIsTakenIntoUse(t *testing.T) {
	w := newWorld(t)
	registry := w.teach()
	w.reads(registry, builtIn)
	boat := w.interpreter("boat", "Afloat", "Afloat")
	w.create(boat)
	w.says(boat, yes, teach.ReasonInUse, "It says health of Boat."+w.group, "its test holds")
	w.reads(registry, "Afloat")
	w.told(boat, "Normal", teach.ReasonInUse, "its test holds")

	written := w.writes.Load()
	w.change(boat, func(s *v1alpha1.InterpreterSpec) {
		s.Health[0].Reason, s.Tests[0].Want.Reason, s.Drained = "Swimming", "Swimming", "!self.status.afloat"
	})
	w.says(boat, yes, teach.ReasonInUse, "health, drained")
	w.reads(registry, "Swimming")
	if n := w.writes.Load() - written; n != 1 {
		t.Errorf("%d writes for one outcome", n)
	}
	if err := w.client.Delete(t.Context(), boat); err != nil {
		t.Fatal(err)
	}
	w.reads(registry, builtIn)
}

func TestWrongInterpreterIsNotUsed(t *testing.T) {
	cases := map[string]struct {
		why    string
		spoil  func(*v1alpha1.InterpreterSpec)
		reason string
		parts  []string
	}{
		"Expression": {
			"what isn't CEL", func(s *v1alpha1.InterpreterSpec) { s.Health[0].When = "self.status.afloat &&" },
			teach.ReasonInvalid,
			[]string{"health[0].when", "None of it is used", "slipway module interpret"},
		},
		"Type": {
			"an expression that gives something else than it must", func(s *v1alpha1.InterpreterSpec) { s.Drained = "'yes'" },
			teach.ReasonInvalid,
			[]string{"drained", "None of it is used"},
		},
		"Kubernetes": {
			"kinds of Kubernetes itself are judged by what is built in", func(s *v1alpha1.InterpreterSpec) { s.Target.Group, s.Target.Kind, s.Tests = "apps", "Deployment", nil },
			teach.ReasonInvalid,
			[]string{"target.group", "10000"},
		},
		"Test": {
			"a test that fails", func(s *v1alpha1.InterpreterSpec) { s.Tests[0].Want.Reason = "Dry" },
			teach.ReasonTestFailed,
			[]string{`test "afloat": reason: wanted Dry, got Healthy (Afloat`, "None of it is used"},
		},
		"TestOfOther": {
			"a test with an object of another kind", func(s *v1alpha1.InterpreterSpec) {
				s.Tests[0].Object.Raw = []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`)
			},
			teach.ReasonInvalid,
			[]string{"tests[0]", "not of the interpreter's kind"},
		},
		"Many": {
			"of many things that are wrong some are shown", func(s *v1alpha1.InterpreterSpec) {
				for range 7 {
					s.Health = append(s.Health, v1alpha1.HealthRule{State: "Healthy", When: "nobody.knows"})
				}
			},
			teach.ReasonInvalid,
			[]string{"health[2].when", "health[6].when", "and 2 more"},
		},
	}
	w := newWorld(t)
	registry := w.teach()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, env: w.env, client: w.client, group: w.group}
			boat := w.interpreter("wrong", "Afloat", "Afloat")
			tc.spoil(&boat.Spec)
			w.create(boat)
			w.says(boat, no, tc.reason, tc.parts...)
			w.reads(registry, builtIn)
			w.told(boat, "Warning", tc.reason, tc.parts[0])
		})
	}
}

// The one that was in use stays while the new one is wrong.
func TestFormerInterpreterStays(t *testing.T) {
	w := newWorld(t)
	registry := w.teach()
	boat := w.interpreter("boat", "Afloat", "Afloat")
	w.create(boat)
	w.says(boat, yes, teach.ReasonInUse)
	w.change(boat, func(s *v1alpha1.InterpreterSpec) { s.Health[0].Reason = "Swimming" })
	w.says(boat, no, teach.ReasonTestFailed, "wanted Afloat", "What it was in generation 1 stays in use")
	w.reads(registry, "Afloat")
	w.change(boat, func(s *v1alpha1.InterpreterSpec) { s.Health[0].When = "no" })
	w.says(boat, no, teach.ReasonInvalid, "What it was in generation 1 stays in use")
	w.reads(registry, "Afloat")
	w.reads(w.teach(), builtIn) // after a restart nobody knows it any more
	w.says(boat, no, teach.ReasonInvalid, "None of it is used")
	w.change(boat, func(s *v1alpha1.InterpreterSpec) { s.Health[0].When, s.Tests[0].Want.Reason = "true", "Swimming" })
	w.says(boat, yes, teach.ReasonInUse)
	w.reads(registry, "Swimming")
}

// Of two for a kind the one that isn't asked says so, and says when it is again.
func TestOverruledInterpreterSaysSo(t *testing.T) {
	w := newWorld(t)
	registry := w.teach()
	low, high := w.interpreter("low", "Low", "Low"), w.interpreter("high", "High", "High")
	w.create(low)
	w.says(low, yes, teach.ReasonInUse)
	high.Spec.Priority = new(int32(2000))
	w.create(high)
	w.says(low, yes, teach.ReasonOverruled, high.Name+" is asked in its place")
	w.says(high, yes, teach.ReasonInUse)
	w.reads(registry, "High")
	w.change(high, func(s *v1alpha1.InterpreterSpec) { s.Priority = new(int32(500)) })
	w.says(high, yes, teach.ReasonOverruled, low.Name)
	w.says(low, yes, teach.ReasonInUse)
	w.reads(registry, "Low")
	if err := w.client.Delete(t.Context(), low); err != nil {
		t.Fatal(err)
	}
	w.says(high, yes, teach.ReasonInUse)
	w.reads(registry, "High")
}

// Who starts knows everything before the first verdict; who doesn't lead learns, too, and writes nothing.
func TestStandbyLearns(t *testing.T) {
	w := newWorld(t)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.env.Namespace, Name: "held"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("another"), LeaseDurationSeconds: new(int32(3600)), RenewTime: new(metav1.NowMicro()), AcquireTime: new(metav1.NowMicro())},
	}
	if err := w.client.Create(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	first := w.interpreter("first", "First", "First")
	w.create(first)
	registry := w.teach(w.standby())
	w.reads(registry, "First")
	second := w.interpreter("second", "Second", "Second")
	second.Spec.Priority = new(int32(2000))
	w.create(second)
	w.reads(registry, "Second")
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(second), second); err != nil || len(second.Status.Conditions) > 0 || w.writes.Load() > 0 {
		t.Errorf("a standby wrote: %v, %+v", err, second.Status)
	}
	w.teach() // the one that leads
	w.says(second, yes, teach.ReasonInUse)
	w.says(first, yes, teach.ReasonOverruled)
}

// What comes with Slipway could have been written by anybody: the API server takes it as it is, but for those that are for many kinds.
func TestReadyMadeAreAsAnybodyWritesThem(t *testing.T) {
	w := newWorld(t)
	names, err := fs.Glob(interpreters.Files(), "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(interpreters.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(content, &obj.Object); err != nil {
			t.Fatal(err)
		}
		if kind, _, _ := unstructured.NestedString(obj.Object, "spec", "target", "kind"); kind == "*" {
			continue
		}
		obj.SetName("w-" + strings.ToLower(strings.TrimSuffix(name, ".yaml")))
		if err := w.client.Create(t.Context(), obj, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
