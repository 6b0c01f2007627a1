package interpret

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/internal/health"
	"github.com/slipway-dev/slipway/internal/health/expr"
)

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	obj := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(content, &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

func compiled(t testing.TB, d Definition) *Interpreter {
	t.Helper()
	i, err := Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

const afloat = "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: b, namespace: sea, generation: 2}\n"

func number64(n int64) *int64 { return &n }
func truth64(b bool) *bool    { return &b }

func TestInterpret(t *testing.T) {
	cases := map[string]struct {
		reason string
		def    Definition
		object string
		want   Result
	}{
		"FirstMatch": {
			reason: "the first rule that holds is the verdict",
			def: Definition{Health: []Rule{
				{State: health.Degraded, When: "self.status.phase == 'Sunk'", Reason: "Sunk"},
				{State: health.Progressing, When: "self.status.phase != 'Afloat'", Reason: "=self.status.phase", Message: "'it is ' + self.status.phase"},
				{State: health.Progressing, Reason: "Never"},
			}},
			object: afloat + "status: {phase: Building}",
			want:   Result{Health: health.Verdict{State: health.Progressing, Reason: "Building", Message: "it is Building"}, Rule: "health[1]"},
		},
		"NoRule": {
			reason: "when none holds, it is Unknown",
			def:    Definition{Health: []Rule{{State: health.Healthy, When: "false"}}},
			object: afloat,
			want:   Result{Health: health.Verdict{State: health.Unknown, Reason: "NoRuleHolds", Message: "none of the rules of its interpreter holds"}},
		},
		"Deleted": {
			reason: "what is being deleted is Progressing, whatever the rules say",
			def:    Definition{Health: []Rule{{State: health.Healthy}}},
			object: strings.Replace(afloat, "generation: 2", "deletionTimestamp: x", 1),
			want:   Result{Health: health.Verdict{State: health.Progressing, Reason: "Terminating", Message: "being deleted"}},
		},
		"OldGeneration": {
			reason: "an old status is not asked",
			def:    Definition{Health: []Rule{{State: health.Healthy}}},
			object: afloat + "status: {observedGeneration: 1}",
			want: Result{Health: health.Verdict{
				State: health.Progressing, Reason: "GenerationNotObserved",
				Message: "its controller has not seen the latest change yet (generation 2, seen 1)",
			}},
		},
		"NoRules": {
			reason: "an interpreter without rules leaves health to what is built in",
			def:    Definition{Version: "self.spec.version"},
			object: afloat + "spec: {version: v3}\nstatus: {conditions: [{type: Ready, status: 'False', reason: Leaking, message: it leaks}]}",
			want:   Result{Health: health.Verdict{State: health.Progressing, Reason: "Leaking", Message: "it leaks"}, Version: "v3"},
		},
		"Missing": {
			reason: "a rule that reads what is not there makes it Unknown, and says which rule, but none of the object's data",
			def:    Definition{Health: []Rule{{State: health.Healthy, When: "self.status.phase == 'Afloat'"}}},
			object: afloat + "spec: {secret: hunter2}",
			want: Result{
				Health: health.Verdict{
					State: health.Unknown, Reason: "ExpressionFailed",
					Message: "health[0].when cannot be evaluated on this object: a field that it reads may be missing, or of another type; ask for it with has() first",
				},
				Rule:     "health[0]",
				Problems: []string{"health[0].when cannot be evaluated on this object: a field that it reads may be missing, or of another type; ask for it with has() first"},
			},
		},
		"WordsFail": {
			reason: "a message that cannot be had changes nothing about the verdict",
			def:    Definition{Health: []Rule{{State: health.Healthy, Reason: "=self.status.why", Message: "self.status.what"}}},
			object: afloat,
			want: Result{
				Health: health.Verdict{State: health.Healthy, Reason: "Healthy", Message: "healthy"}, Rule: "health[0]",
				Problems: []string{
					"health[0].reason cannot be evaluated on this object: a field that it reads may be missing, or of another type; ask for it with has() first",
					"health[0].message cannot be evaluated on this object: a field that it reads may be missing, or of another type; ask for it with has() first",
				},
			},
		},
		"NoWord": {
			reason: "a reason that is no word is not taken",
			def:    Definition{Health: []Rule{{State: health.Healthy, Reason: "=self.spec.why"}}},
			object: afloat + "spec: {why: 'because it\nfloats'}",
			want:   Result{Health: health.Verdict{State: health.Healthy, Reason: "Healthy", Message: "healthy"}, Rule: "health[0]"},
		},
		"Operations": {
			reason: "all that there is to say",
			def: Definition{
				Health:       []Rule{{State: health.Healthy}},
				Replicas:     "{'desired': self.spec.oars, 'ready': self.status.oars}",
				Drained:      "self.status.passengers == 0",
				Dependencies: "[{'kind': 'Secret', 'name': self.spec.key}, {'apiVersion': 'example.org/v1', 'kind': 'Harbour', 'name': 'home', 'namespace': ''}]",
				Version:      "'v' + string(self.spec.version)",
			},
			object: afloat + "spec: {oars: 4, key: ignition, version: 3}\nstatus: {oars: 3, passengers: 0}",
			want: Result{
				Health: health.Verdict{State: health.Healthy, Reason: "Healthy", Message: "healthy"}, Rule: "health[0]",
				Replicas: &Replicas{Desired: 4, Ready: number64(3)}, Drained: truth64(true), Version: "v3",
				Dependencies: []Dependency{
					{APIVersion: "v1", Kind: "Secret", Namespace: "sea", Name: "ignition"},
					{APIVersion: "example.org/v1", Kind: "Harbour", Name: "home"},
				},
			},
		},
		"NotKnown": {
			reason: "null and an optional without a value mean that it is not known",
			def:    Definition{Replicas: "self.?spec.?oars", Drained: "self.?status.?passengers.optMap(n, n == 0)", Version: "dyn(null)"},
			object: afloat,
			want:   Result{Health: health.Verdict{State: health.Healthy, Reason: "Current", Message: "exists; its kind has no conditions to judge it by"}},
		},
		"WrongType": {
			reason: "what gives something else than it must is a problem with a place",
			def:    Definition{Replicas: "self.spec.oars", Dependencies: "self.spec.needs"},
			object: afloat + "spec: {oars: many, needs: [{kind: Secret}]}",
			want: Result{
				Health: health.Verdict{State: health.Healthy, Reason: "Current", Message: "exists; its kind has no conditions to judge it by"},
				Problems: []string{
					"replicas cannot be evaluated on this object: it gives string, not a number",
					"dependencies cannot be evaluated on this object: entry 0: it has no kind or no name",
				},
			},
		},
		"Condition": {
			reason: "a condition is there even when it isn't, of an object and of a list",
			def: Definition{Health: []Rule{
				{State: health.Degraded, When: "self.condition('Nothing').status != '' || self.spec.condition('x').status != '' || self.condition('Old').stale != true"},
				{State: health.Healthy, When: "self.status.parents.all(p, p.conditions.condition('Accepted').status == 'True')", Message: "self.condition('Old').message"},
			}},
			object: afloat + "spec: 1\nstatus: {conditions: [1, {type: Old, status: 'True', message: hm, observedGeneration: 1}], parents: [{conditions: [{type: Accepted, status: 'True'}]}]}",
			want:   Result{Health: health.Verdict{State: health.Healthy, Reason: "Healthy", Message: "hm"}, Rule: "health[1]"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.def.Target = boat
			obj := object(t, tc.object)
			before := obj.DeepCopy()
			if diff := cmp.Diff(tc.want, compiled(t, tc.def).Interpret(obj)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(before, obj); diff != "" {
				t.Errorf("the object was changed:\n%s", diff)
			}
		})
	}
}

// Whatever goes in, what comes out can be put into a status.
func TestOutputIsBounded(t *testing.T) {
	obj := object(t, afloat)
	long := strings.Repeat("ö", 700_000)
	obj.Object["spec"] = map[string]any{"long": long}
	got := compiled(t, Definition{
		Target:       boat,
		Health:       []Rule{{State: health.Healthy, Reason: "=self.spec.long", Message: "self.spec.long"}},
		Dependencies: "[{'kind': self.spec.long, 'name': self.spec.long}]",
		Version:      "self.spec.long",
	}).Interpret(obj)
	if n := len(got.Health.Message); n > maxMessage || !strings.HasSuffix(got.Health.Message, "ö…") {
		t.Errorf("the message has %d bytes", n)
	}
	content, err := json.Marshal(got)
	if err != nil || len(content) > 4<<10 {
		t.Errorf("all of it has %d bytes, %v", len(content), err)
	}
}

// One object costs its limit once, not once for each expression.
func TestOneObjectHasOneBudget(t *testing.T) {
	var rules []Rule
	for range maxRules {
		rules = append(rules, Rule{State: health.Healthy, When: "self.log.contains('sunshine')"})
	}
	i := compiled(t, Definition{Target: boat, Health: rules})
	obj := object(t, afloat)
	obj.Object["log"] = strings.Repeat("rain", 250_000)
	got := i.Interpret(obj)
	if got.Health.State != health.Unknown || !strings.Contains(got.Health.Message, "used up the cost limit") {
		t.Errorf("got %+v", got)
	}
	var e evaluation
	i.assess(obj, &e)
	if e.spent > 2*expr.MaxCost {
		t.Errorf("it cost %d", e.spent)
	}
}

func TestCheckSaysWhatCame(t *testing.T) {
	d := Definition{
		Target: boat, Health: []Rule{{State: health.Progressing, Reason: "Building", Message: "'no mast yet'"}},
		Replicas: "3", Drained: "true", Dependencies: "[{'kind': 'Secret', 'name': 'k'}]", Version: "'v1'",
		Tests: []Test{{
			Name: "afloat", Object: object(t, afloat).Object,
			Want: Want{
				Health: health.Healthy, Reason: "Afloat", Message: "it floats", Replicas: &Replicas{Desired: 4}, Drained: truth64(false),
				Dependencies: []Dependency{{APIVersion: "v1", Kind: "ConfigMap", Name: "k"}}, Version: "v2",
			},
		}, {
			Name: "as it is", Object: object(t, afloat).Object,
			Want: Want{
				Health: health.Progressing, Reason: "Building", Message: "no mast yet", Replicas: &Replicas{Desired: 3}, Drained: truth64(true),
				Dependencies: []Dependency{{APIVersion: "v1", Kind: "Secret", Name: "k"}}, Version: "v1",
			},
		}},
	}
	var got []string
	for _, f := range Check(compiled(t, d), d.Tests) {
		got = append(got, f.Error())
	}
	want := []string{
		`test "afloat": health: wanted Healthy, got Progressing (Building: no mast yet, said by health[0])`,
		`test "afloat": reason: wanted Afloat, got Progressing (Building: no mast yet, said by health[0])`,
		`test "afloat": message: wanted "it floats", got Progressing (Building: no mast yet, said by health[0])`,
		`test "afloat": replicas: wanted {"desired":4}, got {"desired":3}`,
		`test "afloat": drained: wanted false, got true`,
		`test "afloat": dependencies: wanted [{"apiVersion":"v1","kind":"ConfigMap","name":"k"}], got [{"apiVersion":"v1","kind":"Secret","namespace":"sea","name":"k"}]`,
		`test "afloat": version: wanted "v2", got "v1"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
