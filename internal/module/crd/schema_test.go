package crd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-dev/slipway/internal/module/crd"
)

func TestSchema(t *testing.T) {
	// field is a schema of spec with one field, x.
	field := func(x string) string { return "{type: object, properties: {x: " + x + "}}" }
	const (
		f, b = "forward ", "backward "
		at   = " v1 .spec.x"
	)
	cases := map[string]struct {
		reason    string
		was, next string
		want      []string
	}{
		"same":                    {"nothing changes", field("{type: string}"), field("{type: string}"), nil},
		"described":               {"words are for people", field("{type: string, description: a}"), field("{type: string, title: b}"), nil},
		"field removed":           {"its values are dropped", field("{type: string}"), "{type: object}", []string{f + "unsafe FieldRemoved" + at}},
		"field added":             {"values of since are dropped on the way back", "{type: object}", field("{type: string}"), []string{b + "note FieldRemoved" + at}},
		"tree removed":            {"one finding for the topmost", field("{type: object, properties: {sail: {type: string}}}"), "{type: object}", []string{f + "unsafe FieldRemoved" + at}},
		"removed but kept":        {"unknown fields are kept", field("{type: string}"), "{type: object, x-kubernetes-preserve-unknown-fields: true}", []string{b + "note UnknownFieldsDropped v1 .spec"}},
		"odd name":                {"a path can be read without doubt", `{type: object, properties: {"a.b": {type: string}}}`, "{type: object}", []string{f + `unsafe FieldRemoved v1 .spec["a.b"]`}},
		"required added":          {"objects without it are stuck", field("{type: string}"), "{type: object, required: [x], properties: {x: {type: string}}}", []string{f + "unsafe RequiredAdded v1 .spec"}},
		"required dropped":        {"only what is written since may lack it", "{type: object, required: [x], properties: {x: {type: string}}}", field("{type: string}"), []string{b + "note RequiredAdded v1 .spec"}},
		"required with default":   {"the API server fills it in", field("{type: string}"), "{type: object, required: [x], properties: {x: {type: string, default: a}}}", []string{f + "note DefaultChanged" + at, f + "note RequiredDefaulted v1 .spec", b + "note DefaultChanged" + at}},
		"required in a new tree":  {"no object has the tree", "{type: object}", field("{type: object, required: [sail], properties: {sail: {type: string}}}"), []string{b + "note FieldRemoved" + at}},
		"default of required":     {"objects relied on it", "{type: object, required: [x], properties: {x: {type: string, default: a}}}", "{type: object, required: [x], properties: {x: {type: string}}}", []string{f + "unsafe DefaultNeeded v1 .spec", f + "note DefaultChanged" + at, b + "note DefaultChanged" + at}},
		"default changed":         {"behaviour may change", field("{type: string, default: a}"), field("{type: string, default: b}"), []string{f + "note DefaultChanged" + at, b + "note DefaultChanged" + at}},
		"default written again":   {"the order of keys means nothing", field("{type: object, properties: {a: {type: string}, b: {type: string}}, default: {a: '1', b: '2'}}"), field("{type: object, properties: {a: {type: string}, b: {type: string}}, default: {b: '2', a: '1'}}"), nil},
		"type changed":            {"neither way", field("{type: string}"), field("{type: integer}"), []string{f + "unsafe TypeChanged" + at, b + "irreversible TypeChanged" + at}},
		"type changed with tree":  {"nothing below is told", field("{type: object, properties: {sail: {type: string}}}"), field("{type: string}"), []string{f + "unsafe TypeChanged" + at, b + "irreversible TypeChanged" + at}},
		"type widened":            {"whole numbers are numbers", field("{type: integer}"), field("{type: number}"), []string{b + "note TypeNarrowed" + at}},
		"int or string":           {"strings stay valid", field("{type: string}"), field("{x-kubernetes-int-or-string: true}"), []string{b + "note TypeNarrowed" + at}},
		"int or string narrowed":  {"numbers are no longer valid", field("{x-kubernetes-int-or-string: true}"), field("{type: string}"), []string{f + "unsafe TypeNarrowed" + at}},
		"enum value added":        {"old values stay valid", field("{type: string, enum: [a]}"), field("{type: string, enum: [a, b]}"), []string{b + "note EnumNarrowed" + at}},
		"enum value removed":      {"some objects may have it", field("{type: string, enum: [a, b]}"), field("{type: string, enum: [a]}"), []string{f + "unsafe EnumNarrowed" + at}},
		"enum added":              {"objects may have anything", field("{type: string}"), field("{type: string, enum: [a]}"), []string{f + "unsafe EnumNarrowed" + at}},
		"enum dropped":            {"everything is allowed", field("{type: string, enum: [a]}"), field("{type: string}"), []string{b + "note EnumNarrowed" + at}},
		"maximum lowered":         {"some objects may be beyond", field("{type: integer, maximum: 9}"), field("{type: integer, maximum: 5}"), []string{f + "unsafe LimitTightened" + at}},
		"maximum raised":          {"old values stay valid", field("{type: integer, maximum: 5}"), field("{type: integer, maximum: 9}"), []string{b + "note LimitTightened" + at}},
		"maximum exclusive":       {"the maximum itself was valid", field("{type: integer, maximum: 5}"), field("{type: integer, maximum: 5, exclusiveMaximum: true}"), []string{f + "unsafe LimitTightened" + at}},
		"minLength added":         {"the empty string was valid", field("{type: string}"), field("{type: string, minLength: 1}"), []string{f + "unsafe LimitTightened" + at}},
		"maxItems lowered":        {"lists may be longer", field("{type: array, items: {type: string}, maxItems: 9}"), field("{type: array, items: {type: string}, maxItems: 5}"), []string{f + "unsafe LimitTightened" + at}},
		"multiple":                {"others were valid", field("{type: integer}"), field("{type: integer, multipleOf: 5}"), []string{f + "unsafe LimitTightened" + at}},
		"pattern changed":         {"patterns can't be compared", field("{type: string, pattern: a}"), field("{type: string, pattern: b}"), []string{f + "unsafe TextTightened" + at, b + "note TextTightened" + at}},
		"format added":            {"other text was valid", field("{type: string}"), field("{type: string, format: date-time}"), []string{f + "unsafe TextTightened" + at}},
		"format widened":          {"all small numbers are large ones", field("{type: integer, format: int32}"), field("{type: integer, format: int64}"), []string{b + "note TextTightened" + at}},
		"null forbidden":          {"objects may have null", field("{type: string, nullable: true}"), field("{type: string}"), []string{f + "unsafe NullForbidden" + at}},
		"rule added":              {"objects may break it", field("{type: string}"), field("{type: string, x-kubernetes-validations: [{rule: self != ''}]}"), []string{f + "unsafe RuleAdded" + at}},
		"rule reworded":           {"its message is for people", field("{type: string, x-kubernetes-validations: [{rule: self != '', message: a}]}"), field("{type: string, x-kubernetes-validations: [{rule: self != '', message: b}]}"), nil},
		"rule for changes added":  {"it is asked about changes only", field("{type: string}"), field("{type: string, x-kubernetes-validations: [{rule: self == oldSelf}]}"), []string{f + "note TransitionRuleAdded" + at}},
		"rule for first changes":  {"with optionalOldSelf it is asked about all", field("{type: string}"), field("{type: string, x-kubernetes-validations: [{rule: oldSelf.hasValue() || self != '', optionalOldSelf: true}]}"), []string{f + "unsafe RuleAdded" + at}},
		"unknown fields dropped":  {"what nobody listed is lost", field("{type: object, x-kubernetes-preserve-unknown-fields: true}"), field("{type: object}"), []string{f + "unsafe UnknownFieldsDropped" + at}},
		"list to map":             {"items must be unique", field("{type: array, items: {type: object, properties: {name: {type: string}}}}"), field("{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, properties: {name: {type: string}}}}"), []string{f + "unsafe KeysTightened" + at, b + "note OwnershipChanged" + at}},
		"map type":                {"who owns what changes", field("{type: object}"), field("{type: object, x-kubernetes-map-type: atomic}"), []string{f + "note OwnershipChanged" + at, b + "note OwnershipChanged" + at}},
		"inside items":            {"items have a path", field("{type: array, items: {type: object, properties: {sail: {type: string}}}}"), field("{type: array, items: {type: object}}"), []string{f + "unsafe FieldRemoved v1 .spec.x[*].sail"}},
		"inside values":           {"values of a map have a path", field("{type: object, additionalProperties: {type: object, properties: {sail: {type: string}}}}"), field("{type: object, additionalProperties: {type: object}}"), []string{f + "unsafe FieldRemoved v1 .spec.x.*.sail"}},
		"map closed":              {"all its values are dropped", field("{type: object, additionalProperties: {type: string}}"), field("{type: object}"), []string{f + "unsafe FieldRemoved v1 .spec.x.*"}},
		"fields to map":           {"the fields are values of the map now", "{type: object, properties: {x: {type: string}}}", "{type: object, additionalProperties: {type: string}}", []string{b + "note FieldRemoved v1 .spec.*"}},
		"alternative added":       {"what was valid stays valid", field("{type: object, anyOf: [{required: [a]}], properties: {a: {type: string}}}"), field("{type: object, anyOf: [{required: [a]}, {required: []}], properties: {a: {type: string}}}"), []string{b + "note CombinationChanged" + at}},
		"alternative removed":     {"objects may need it", field("{type: string, anyOf: [{minLength: 1}, {maxLength: 3}]}"), field("{type: string, anyOf: [{minLength: 1}]}"), []string{f + "unsafe CombinationChanged" + at}},
		"one of":                  {"one more may be one too many", field("{type: string, oneOf: [{minLength: 1}]}"), field("{type: string, oneOf: [{minLength: 1}, {maxLength: 3}]}"), []string{f + "unsafe CombinationChanged" + at, b + "note CombinationChanged" + at}},
		"a limit beside an anyOf": {"combinations don't hide the field's own constraints", field("{type: string, anyOf: [{minLength: 1}]}"), field("{type: string, maxLength: 5, anyOf: [{minLength: 1}]}"), []string{f + "unsafe LimitTightened" + at}},
		"embedded":                {"a whole object is needed", field("{type: object, x-kubernetes-preserve-unknown-fields: true}"), field("{type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}"), []string{f + "unsafe EmbeddedObject" + at}},
		"nobody knows":            {"what nothing here judges is unsafe", field("{type: string}"), field("{type: string, $ref: '#/x'}"), []string{f + "unsafe Unjudged" + at, b + "irreversible Unjudged" + at}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			was, next := ship(t, "v1", map[string]string{"v1": tc.was}), ship(t, "v1", map[string]string{"v1": tc.next})
			r := compare(t, crd.Change{Live: live(was), Next: next})
			if diff := cmp.Diff(tc.want, lines(r), cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
