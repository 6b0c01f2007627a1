package build

import (
	"context"
	"errors"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
)

func TestSubstitution(t *testing.T) {
	always := &kustomizev1.PostBuild{SubstituteStrategy: kustomizev1.SubstituteStrategyAlways}
	cases := map[string]struct {
		reason string
		vars   map[string]string
		spec   *kustomizev1.PostBuild
		object string
		want   string
	}{
		"Text": {
			reason: "a value takes the place of the variable",
			vars:   map[string]string{"colour": "blue"},
			object: configMap("a") + "data: {x: 'the ${colour} one'}\n",
			want:   "data:\n  x: the blue one\n",
		},
		"Types": {
			reason: "values are text put into YAML: they become numbers and booleans, also where the manifest had quotes",
			vars:   map[string]string{"n": "3", "b": "true"},
			object: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: '${n}'\n  paused: ${b}\n  minReadySeconds: ${m:=7}\n",
			want:   "spec:\n  minReadySeconds: 7\n  paused: true\n  replicas: 3\n",
		},
		"KeptText": {
			reason: "quotes in the value keep it text",
			vars:   map[string]string{"n": "\"3\""},
			object: configMap("a") + "data: {x: '${n}', z: '${k:=\"5\"}'}\n",
			want:   "data:\n  x: \"3\"\n  z: \"5\"\n",
		},
		"Structure": {
			reason: "a value may be a flow mapping",
			vars:   map[string]string{"limits": "{cpu: 1, memory: 1Gi}"},
			object: "apiVersion: v1\nkind: LimitRange\nmetadata: {name: a}\nspec: ${limits}\n",
			want:   "spec:\n  cpu: 1\n  memory: 1Gi\n",
		},
		"Functions": {
			reason: "the shell's functions work",
			vars:   map[string]string{"v": "Prod-Eu"},
			object: configMap("a") + "data: {a: '${v,,}', b: '${v/-/_}', c: '${v#*-}', d: '${v:0:4}', e: '${#v}x', f: '${none:-d}'}\n",
			want:   "data:\n  a: prod-eu\n  b: Prod_Eu\n  c: Eu\n  d: Prod\n  e: 7x\n  f: d\n",
		},
		"Escape": {
			reason: "a doubled dollar is a dollar",
			vars:   map[string]string{"v": "x"},
			object: configMap("a") + "data: {a: '$${v}', b: '$(v) $v'}\n",
			want:   "data:\n  a: ${v}\n  b: $(v) $v\n",
		},
		"LineBreaks": {
			reason: "line breaks in values are dropped",
			vars:   map[string]string{"v": "a\nb\n"},
			object: configMap("a") + "data: {a: '${v}'}\n",
			want:   "data:\n  a: ab\n",
		},
		"NoVariables": {
			reason: "without variables nothing is touched",
			object: configMap("a") + "data: {a: '${v}', b: '${w:=d}'}\n",
			want:   "data:\n  a: ${v}\n  b: ${w:=d}\n",
		},
		"Always": {
			reason: "the strategy Always takes the defaults without any variable",
			spec:   always,
			object: configMap("a") + "data: {b: '${w:=d}'}\n",
			want:   "data:\n  b: d\n",
		},
		"DisabledByAnnotation": {
			reason: "an object can be left alone by annotation",
			vars:   map[string]string{"v": "x"},
			object: configMap("a") + "  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\ndata: {a: '${v} ${gone}'}\n",
			want:   "data:\n  a: ${v} ${gone}\n",
		},
		"DisabledByLabel": {
			reason: "or by label",
			vars:   map[string]string{"v": "x"},
			object: configMap("a") + "  labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}\ndata: {a: '${v}'}\n",
			want:   "data:\n  a: ${v}\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := mustBuild(t, Input{
				Tree: tree(map[string]string{"a.yaml": tc.object}), Vars: tc.vars,
				Spec: kustomizev1.KustomizationSpec{PostBuild: tc.spec},
			})
			if text := asYAML(t, got.Objects); !strings.Contains(text, tc.want) {
				t.Errorf("%s: want\n%s\nin\n%s", tc.reason, tc.want, text)
			}
		})
	}
}

func TestSubstitutionRefuses(t *testing.T) {
	secret := "hunter2: ]["
	cases := map[string]struct {
		reason string
		vars   map[string]string
		object string
		want   failure
		says   []string
	}{
		"Undefined": {
			reason: "all variables without a value are named, with the object",
			vars:   map[string]string{"v": "x"},
			object: configMap("a") + "  namespace: ns\ndata: {a: '${one}', b: '${v}', c: '${two,,} ${one}', d: '${three:=3}'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/ns/a"},
			says:   []string{"${one}, ${two} are not defined", "spec.postBuild.substitute", "$${one}"},
		},
		"BadName": {
			reason: "names that no shell would take are refused",
			vars:   map[string]string{"my-var": "x"},
			object: configMap("a"),
			want:   failure{Reason: ReasonSubstitutionFailed},
			says:   []string{`"my-var"`},
		},
		"BadExpression": {
			reason: "an expression that cannot be read",
			vars:   map[string]string{"v": "x"},
			object: configMap("a") + "data: {a: '${v'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/a"},
			says:   []string{"$${…}"},
		},
		"BrokenYAML": {
			reason: "a value that breaks the YAML is named by its variable, not shown",
			vars:   map[string]string{"password": secret},
			object: configMap("a") + "data: {a: '${password}'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/a"},
			says:   []string{"${password}", "quotes"},
		},
		"NumberAsName": {
			reason: "a name that became a number",
			vars:   map[string]string{"n": "42"},
			object: configMap("${n}"),
			want:   failure{Reason: ReasonBuildFailed, Object: "ConfigMap/${n}"},
			says:   []string{"metadata.name is not text", "quotes"},
		},
		"NumberAsLabel": {
			reason: "a label that became a number",
			vars:   map[string]string{"n": "42"},
			object: configMap("a") + "  labels: {x: '${n}'}\n",
			want:   failure{Reason: ReasonBuildFailed, Object: "ConfigMap/a"},
			says:   []string{`"x" in metadata.labels must be text`},
		},
		"NameGone": {
			reason: "a name that became nothing",
			vars:   map[string]string{"n": ""},
			object: configMap("${n}"),
			want:   failure{Reason: ReasonBuildFailed, Object: "ConfigMap/${n}"},
			says:   []string{"has no metadata.name"},
		},
		"Blowup": {
			reason: "values that multiply are refused before they do",
			vars:   map[string]string{"a": strings.Repeat("x", 1<<16), "b": strings.Repeat("y", 1<<16)},
			object: configMap("a") + "data: {a: '${a//x/${b}}'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/a"},
			says:   []string{"shorter values"},
		},
		"SlowPattern": {
			reason: "so are patterns on long values",
			vars:   map[string]string{"a": strings.Repeat("x", 1<<18)},
			object: configMap("a") + "data: {a: '${a##*y}'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/a"},
			says:   []string{"shorter values"},
		},
		"TooLong": {
			reason: "and many uses of one long value",
			vars:   map[string]string{"a": strings.Repeat("x", 1<<20)},
			object: configMap("a") + "data: {a: '" + strings.Repeat("${a}", 100) + "'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/a"},
			says:   []string{"shorter values"},
		},
		"OutOfRange": {
			reason: "positions that overflow end in an error, not in a crash",
			vars:   map[string]string{"a": "abc"},
			object: configMap("a") + "data: {a: '${a:1:9223372036854775807}'}\n",
			want:   failure{Reason: ReasonSubstitutionFailed, Object: "ConfigMap/a"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New().Build(context.Background(), Input{Tree: tree(map[string]string{"a.yaml": tc.object}), Vars: tc.vars})
			if err == nil {
				t.Fatalf("%s: got no error", tc.reason)
			}
			got, text := failureOf(t, err)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, text)
			}
			for _, s := range tc.says {
				if !strings.Contains(text, s) {
					t.Errorf("%s: %q does not say %q", tc.reason, text, s)
				}
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "hunter2") {
					t.Errorf("%s: the value is in %q", tc.reason, e)
				}
			}
		})
	}
}
