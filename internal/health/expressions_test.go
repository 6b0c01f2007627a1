package health

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func checks(apiVersion, kind, current, inProgress, failed string) []kustomize.CustomHealthCheck {
	return []kustomize.CustomHealthCheck{{
		APIVersion: apiVersion, Kind: kind,
		HealthCheckExpressions: kustomize.HealthCheckExpressions{Current: current, InProgress: inProgress, Failed: failed},
	}}
}

const certificateReady = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')"

func TestRules(t *testing.T) {
	const boat = "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: b, generation: 2}\n"
	all := checks("example.org/v1beta1", "Boat", "status.phase == 'Afloat'", "status.phase == 'Building'", "status.phase == 'Sunk'")
	cases := map[string]struct {
		reason string
		checks []kustomize.CustomHealthCheck
		object string
		want   Verdict
	}{
		"Current": {
			reason: "current holds; the check's version does not matter, a cluster stores one object for all versions",
			checks: all, object: boat + "status: {phase: Afloat}",
			want: Verdict{Healthy, "Current", "its current expression holds"},
		},
		"InProgress": {
			reason: "inProgress holds, with what Ready says",
			checks: all, object: boat + "status: {phase: Building, conditions: [{type: Ready, status: 'False', message: no mast yet}]}",
			want: Verdict{Progressing, "InProgress", "its inProgress expression holds: no mast yet"},
		},
		"Failed": {
			reason: "failed holds",
			checks: all, object: boat + "status: {phase: Sunk}",
			want: Verdict{Degraded, "Failed", "its failed expression holds"},
		},
		"None": {
			reason: "no expression holds",
			checks: all, object: boat + "status: {phase: Moored}",
			want: Verdict{Progressing, "NotCurrent", "its current expression does not hold yet"},
		},
		"Order": {
			reason: "inProgress is asked before failed, and failed before current",
			checks: checks("example.org/v1", "Boat", "true", "false", "true"), object: boat,
			want: Verdict{Degraded, "Failed", "its failed expression holds"},
		},
		"OldGeneration": {
			reason: "an old status is not asked",
			checks: all, object: boat + "status: {phase: Afloat, observedGeneration: 1}",
			want: Verdict{Progressing, "GenerationNotObserved", "its controller has not seen the latest change yet (generation 2, seen 1)"},
		},
		"Deleted": {
			reason: "an object that goes is not healthy",
			checks: all, object: strings.Replace(boat, "generation: 2", "deletionTimestamp: x", 1) + "status: {phase: Afloat}",
			want: Verdict{Progressing, "Terminating", "being deleted"},
		},
		"AnyKind": {
			reason: "a check without a kind is for the whole group",
			checks: checks("example.org/v1", "", "has(spec.ok)", "", ""), object: boat + "spec: {ok: 1}",
			want: Verdict{Healthy, "Current", "its current expression holds"},
		},
		"ListFunctions": {
			reason: "the expressions that Flux documents work",
			checks: checks("example.org/v1", "Boat", certificateReady, "", ""),
			object: boat + "status: {conditions: [{type: Ready, status: 'True'}, {type: Issuing, status: 'False'}]}",
			want:   Verdict{Healthy, "Current", "its current expression holds"},
		},
		"OtherGroup": {
			reason: "other kinds are judged as always",
			checks: all, object: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}",
			want: Verdict{Healthy, "Exists", "exists"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rules, err := Compile(tc.checks)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, rules.Assess(parse(t, tc.object))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRulesThatCannotBeEvaluated(t *testing.T) {
	nested := "[1,2,3,4,5,6,7,8,9,10]"
	expensive := nested + ".all(a, " + nested + ".all(b, " + nested + ".all(c, " + nested + ".all(d, " +
		nested + ".all(e, " + nested + ".all(f, a+b+c+d+e+f > 0))))))"
	cases := map[string]struct{ reason, current, says string }{
		"NoStatus":  {"a status that is not there yet", "status.phase == 'x'", "may be missing"},
		"NotBool":   {"an expression that is no question", "metadata.name", "compare it"},
		"Expensive": {"an expression without end", expensive, "make it look at less"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rules, err := Compile(checks("example.org/v1", "Boat", tc.current, "", ""))
			if err != nil {
				t.Fatal(err)
			}
			got := rules.Assess(parse(t, "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: b}"))
			if got.State != Unknown || !strings.Contains(got.Message, "current expression") || !strings.Contains(got.Message, tc.says) {
				t.Errorf("%s: got %+v", tc.reason, got)
			}
		})
	}
}

func TestRulesQuoteNoData(t *testing.T) {
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: aHVudGVyMg==}"
	const boat = "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: b}\nspec: {password: aHVudGVyMg==}"
	cases := map[string]struct{ reason, apiVersion, kind, object, expression string }{
		"Key":        {"no such key", "v1", "Secret", secret, "{'a': true}[string(base64.decode(data.password))]"},
		"Number":     {"conversion", "v1", "Secret", secret, "int(string(base64.decode(data.password))) > 0"},
		"Time":       {"conversion", "v1", "Secret", secret, "timestamp(string(base64.decode(data.password))) == timestamp(0)"},
		"CustomKind": {"other kinds hold secrets, too", "example.org/v1", "Boat", boat, "{'a': true}[string(base64.decode(spec.password))]"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for place, list := range map[string][]kustomize.CustomHealthCheck{
				"current":    checks(tc.apiVersion, tc.kind, tc.expression, "", ""),
				"inProgress": checks(tc.apiVersion, tc.kind, "true", tc.expression, ""),
				"failed":     checks(tc.apiVersion, tc.kind, "true", "", tc.expression),
			} {
				rules, err := Compile(list)
				if err != nil {
					t.Fatal(err)
				}
				got := rules.Assess(parse(t, tc.object))
				if got.State != Unknown || !strings.Contains(got.Message, "the "+place+" expression") {
					t.Errorf("%s: want Unknown because of %s, got %+v", tc.reason, place, got)
				}
				if strings.Contains(got.Message, "hunter2") || strings.Contains(got.Message, "aHVudGVyMg") {
					t.Errorf("%s: the message holds the secret: %+v", tc.reason, got)
				}
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		checks []kustomize.CustomHealthCheck
		says   []string
	}{
		"Syntax":     {"a typo", checks("example.org/v1", "Boat", "true", "status.(", ""), []string{"healthCheckExprs[0] (example.org/v1 Boat)", "inProgress"}},
		"Empty":      {"no current", checks("example.org/v1", "Boat", "", "", "true"), []string{"current is empty"}},
		"APIVersion": {"a bad version", checks("a/b/c", "Boat", "true", "", ""), []string{`"a/b/c"`, "group/version"}},
		"Long":       {"an expression of endless length", checks("a/b", "C", strings.Repeat("true && ", 5000)+"true", "", ""), []string{"bytes"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tc.checks)
			for _, s := range tc.says {
				if err == nil || !strings.Contains(err.Error(), s) {
					t.Errorf("%s: the error does not say %q: %v", tc.reason, s, err)
				}
			}
		})
	}
}

func TestNoRules(t *testing.T) {
	obj := parse(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}")
	var none *Rules
	empty, err := Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*Rules{"Nil": none, "Empty": empty, "Zero": {}} {
		if got := r.Assess(obj); got != Assess(obj) {
			t.Errorf("%s: got %+v", name, got)
		}
		if r.Assess(nil).State != Unknown {
			t.Errorf("%s: nothing is not unknown", name)
		}
	}
}

func TestRulesNeedBodies(t *testing.T) {
	rules, err := Compile(checks("v1", "ConfigMap", "data.ready == 'yes'", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !rules.NeedsBody(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}) {
		t.Error("a kind with an expression needs its body")
	}
	if rules.NeedsBody(schema.GroupVersionKind{Version: "v1", Kind: "Secret"}) {
		t.Error("other kinds don't")
	}
}

// FuzzRules feeds arbitrary expressions and objects.
func FuzzRules(f *testing.F) {
	f.Add("status.phase == 'x'", []byte(`{"apiVersion":"a/b","kind":"C","status":{"phase":"x"}}`))
	f.Add(certificateReady, []byte(`{"apiVersion":"a/b","kind":"C","status":{"conditions":[{"type":"Ready","status":"True"}]}}`))
	f.Add("sets.contains([1], [1]) && 'a'.lowerAscii() == 'a'", []byte(`{"apiVersion":"a/b","kind":"C"}`))
	f.Fuzz(func(t *testing.T, expression string, content []byte) {
		rules, err := Compile(checks("a/b", "C", expression, expression, ""))
		if err != nil {
			return
		}
		obj := parseJSON(content)
		if v := rules.Assess(obj); v.Reason == "" {
			t.Errorf("a verdict without a reason: %+v", v)
		}
	})
}
