package crd

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/crdify/pkg/config"
	"sigs.k8s.io/crdify/pkg/validations"
	"sigs.k8s.io/crdify/pkg/validations/property"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// nodes are the schemas of both sides with everything below them, for rules that must look further than the value itself.
type nodes struct{ a, b *schema }

// rule judges one kind of constraint: what do values that are valid under a risk under b? It clears what it has judged in a and b,
// which are copies without children, so that what nobody judged can be told.
type rule func(n nodes, a, b *schema) []found

// rules in the order in which they are asked: what loosens a constraint in a form that crdify takes for a change comes before it.
func rules() []rule {
	return []rule{
		words, types, enum, required, defaults,
		limit(&property.Maximum{}, func(s *schema) *float64 { return s.Maximum }),
		limit(&property.MaxItems{}, func(s *schema) *int64 { return s.MaxItems }),
		limit(&property.MaxLength{}, func(s *schema) *int64 { return s.MaxLength }),
		limit(&property.MaxProperties{}, func(s *schema) *int64 { return s.MaxProperties }),
		limit(&property.Minimum{}, func(s *schema) *float64 { return s.Minimum }),
		limit(&property.MinItems{}, func(s *schema) *int64 { return s.MinItems }),
		limit(&property.MinLength{}, func(s *schema) *int64 { return s.MinLength }),
		limit(&property.MinProperties{}, func(s *schema) *int64 { return s.MinProperties }),
		exclusive, multiple, pattern, format, nullable, celRules, unknownFields, keys, structure, combinations, embedded,
	}
}

// comparator is one of crdify's comparisons.
type comparator interface {
	validations.Validation
	validations.Comparator[apiextensionsv1.JSONSchemaProps]
}

// ask has crdify compare, and returns what it objects to, in its words.
func ask(c comparator, a, b *schema) string {
	c.SetEnforcement(config.EnforcementPolicyError)
	return strings.Join(c.Compare(a, b).Errors, "; ")
}

func one(code Code, detail string) []found {
	if detail == "" {
		return nil
	}
	return []found{{code: code, detail: detail}}
}

// words clears what is for people.
func words(_ nodes, a, b *schema) []found {
	for _, s := range []*schema{a, b} {
		s.Description, s.Title, s.ID, s.Example, s.ExternalDocs = "", "", "", nil, nil
	}
	return nil
}

func types(_ nodes, a, b *schema) []found {
	name := func(s *schema) string {
		switch {
		case s.XIntOrString:
			return "integer or string"
		case s.Type == "":
			return "any type"
		}
		return s.Type
	}
	from, to := name(a), name(b)
	intOrString := []string{"integer", "string"}
	var code Code
	switch {
	case from == to, to == "any type", b.XIntOrString && slices.Contains(intOrString, a.Type), from == "integer" && to == "number":
	case a.XIntOrString && slices.Contains(intOrString, b.Type), from == "any type", from == "number" && to == "integer":
		code = TypeNarrowed
	default:
		if ask(&property.Type{}, a, b) != "" || a.XIntOrString != b.XIntOrString {
			code = TypeChanged
		}
	}
	a.Type, b.Type, a.XIntOrString, b.XIntOrString = "", "", false, false
	if code == "" {
		return nil
	}
	return one(code, from+" to "+to)
}

func enum(_ nodes, a, b *schema) []found {
	if len(b.Enum) == 0 { // everything is allowed now; crdify takes that for the removal of all values
		a.Enum = nil
		return nil
	}
	var detail string
	if gone := slices.DeleteFunc(texts(a.Enum), func(v string) bool { return slices.Contains(texts(b.Enum), v) }); len(a.Enum) == 0 {
		detail = "only " + strings.Join(texts(b.Enum), ", ")
	} else if len(gone) > 0 {
		detail = "without " + strings.Join(gone, ", ")
	}
	allowAdded := &property.Enum{EnumConfig: property.EnumConfig{AdditionPolicy: property.AdditionPolicyAllow}}
	if ask(allowAdded, a, b) == "" {
		return nil
	}
	return one(EnumNarrowed, short(detail))
}

func texts(values []apiextensionsv1.JSON) []string {
	var t []string
	for _, v := range values {
		t = append(t, string(v.Raw))
	}
	return t
}

func required(n nodes, a, b *schema) []found {
	var defaulted, bare []string
	for _, name := range slices.Sorted(slices.Values(b.Required)) {
		switch child, ok := n.b.Properties[name]; {
		case slices.Contains(a.Required, name):
		case ok && child.Default != nil:
			defaulted = append(defaulted, name)
		default:
			bare = append(bare, name)
		}
	}
	b.Required = append(slices.Clone(a.Required), bare...)
	var f []found
	if ask(&property.Required{}, a, b) != "" { // crdify's own words have no order
		f = one(RequiredAdded, strings.Join(bare, ", "))
	}
	return append(f, one(RequiredDefaulted, strings.Join(defaulted, ", "))...)
}

func defaults(n nodes, a, b *schema) []found {
	f := one(DefaultChanged, ask(&property.Default{}, a, b))
	// A required field whose default goes is judged where it is required, because the value doesn't know that.
	for _, name := range slices.Sorted(slices.Values(n.b.Required)) {
		was, had := n.a.Properties[name]
		is, has := n.b.Properties[name]
		if had && has && slices.Contains(n.a.Required, name) && was.Default != nil && is.Default == nil {
			f = append(f, found{code: DefaultNeeded, detail: name})
		}
	}
	return f
}

// limit is a bound on a number, a length or a count, compared by crdify. The detail is the tighter one.
func limit[N int64 | float64](c comparator, of func(*schema) *N) rule {
	return func(_ nodes, a, b *schema) []found {
		bound := of(b)
		if ask(c, a, b) == "" || bound == nil {
			return nil
		}
		return one(LimitTightened, fmt.Sprintf("%s %v", c.Name(), *bound))
	}
}

func exclusive(n nodes, a, b *schema) []found {
	var f []found
	if b.ExclusiveMaximum && !a.ExclusiveMaximum && n.a.Maximum != nil {
		f = append(f, found{code: LimitTightened, detail: "the maximum itself is excluded"})
	}
	if b.ExclusiveMinimum && !a.ExclusiveMinimum && n.a.Minimum != nil {
		f = append(f, found{code: LimitTightened, detail: "the minimum itself is excluded"})
	}
	a.ExclusiveMaximum, b.ExclusiveMaximum, a.ExclusiveMinimum, b.ExclusiveMinimum = false, false, false, false
	return f
}

func multiple(_ nodes, a, b *schema) []found {
	var detail string
	if b.MultipleOf != nil && (a.MultipleOf == nil || *a.MultipleOf != *b.MultipleOf) {
		detail = fmt.Sprintf("multiples of %v only", *b.MultipleOf)
	}
	a.MultipleOf, b.MultipleOf = nil, nil
	return one(LimitTightened, detail)
}

func pattern(_ nodes, a, b *schema) []found {
	var detail string
	if b.Pattern != "" && a.Pattern != b.Pattern {
		detail = fmt.Sprintf("pattern %q", b.Pattern)
	}
	a.Pattern, b.Pattern = "", ""
	return one(TextTightened, detail)
}

func format(_ nodes, a, b *schema) []found {
	var detail string
	widened := a.Format == "int32" && b.Format == "int64" || a.Format == "float" && b.Format == "double"
	if b.Format != "" && a.Format != b.Format && !widened {
		detail = fmt.Sprintf("format %q", b.Format)
	}
	a.Format, b.Format = "", ""
	return one(TextTightened, detail)
}

func nullable(_ nodes, a, b *schema) []found {
	narrower := a.Nullable && !b.Nullable
	a.Nullable, b.Nullable = false, false
	if narrower {
		return []found{{code: NullForbidden}}
	}
	return nil
}

func celRules(_ nodes, a, b *schema) []found {
	known := map[string]bool{}
	for _, r := range a.XValidations {
		known[r.Rule] = true
	}
	var f []found
	for _, r := range b.XValidations {
		if known[r.Rule] {
			continue // its words, its field and its reason are for people
		}
		code := RuleAdded
		if strings.Contains(r.Rule, "oldSelf") && (r.OptionalOldSelf == nil || !*r.OptionalOldSelf) {
			code = TransitionRuleAdded // the API server asks it about changes only
		}
		f = append(f, found{code: code, detail: short(r.Rule)})
	}
	a.XValidations, b.XValidations = nil, nil
	return f
}

// short is a rule's text that fits into a sentence.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	const most = 120
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func unknownFields(_ nodes, a, b *schema) []found {
	dropped := keepsUnknown(a) && !keepsUnknown(b)
	a.XPreserveUnknownFields, b.XPreserveUnknownFields = nil, nil
	if dropped {
		return []found{{code: UnknownFieldsDropped}}
	}
	return nil
}

// keys judges how items of lists and maps are told apart.
func keys(_ nodes, a, b *schema) []found {
	text := func(s *string, d string) string {
		if s == nil {
			return d
		}
		return *s
	}
	from, to := text(a.XListType, "atomic"), text(b.XListType, "atomic")
	list := func(s *schema) string { return strings.Join(slices.Sorted(slices.Values(s.XListMapKeys)), ", ") }
	keysFrom, keysTo := list(a), list(b)
	var f []found
	switch {
	case from == to && keysFrom == keysTo:
	case to == "atomic":
		f = one(OwnershipChanged, "list "+from+" to "+to)
	case to == "map":
		f = one(KeysTightened, "by "+keysTo)
	default:
		f = one(KeysTightened, "list "+from+" to "+to)
	}
	if b.UniqueItems && !a.UniqueItems {
		f = append(f, found{code: KeysTightened, detail: "uniqueItems"})
	}
	if from, to := text(a.XMapType, "granular"), text(b.XMapType, "granular"); from != to {
		f = append(f, found{code: OwnershipChanged, detail: "map " + from + " to " + to})
	}
	for _, s := range []*schema{a, b} {
		s.XListType, s.XListMapKeys, s.XMapType, s.UniqueItems = nil, nil, nil, false
	}
	return f
}

// structure clears what the API server doesn't take in a definition, or keeps empty.
func structure(_ nodes, a, b *schema) []found {
	for _, s := range []*schema{a, b} {
		if len(s.Definitions) == 0 {
			s.Definitions = nil
		}
		if len(s.Dependencies) == 0 {
			s.Dependencies = nil
		}
		if len(s.PatternProperties) == 0 {
			s.PatternProperties = nil
		}
	}
	return nil
}

// combinations compares what is said with allOf, anyOf, oneOf and not as a whole: more alternatives and fewer conditions are looser,
// everything else can't be told without solving logic.
func combinations(_ nodes, a, b *schema) []found {
	for _, s := range []*schema{a, b} {
		strip(s)
	}
	var f []found
	within := func(some, all []schema) bool {
		return !slices.ContainsFunc(some, func(s schema) bool {
			return !slices.ContainsFunc(all, func(o schema) bool { return equality.Semantic.DeepEqual(s, o) })
		})
	}
	if !within(b.AllOf, a.AllOf) {
		f = append(f, found{code: CombinationChanged, detail: "allOf"})
	}
	if len(b.AnyOf) > 0 && (len(a.AnyOf) == 0 || !within(a.AnyOf, b.AnyOf)) && !saysIntOrString(b) {
		f = append(f, found{code: CombinationChanged, detail: "anyOf"})
	}
	if len(b.OneOf) > 0 && (!within(a.OneOf, b.OneOf) || !within(b.OneOf, a.OneOf)) {
		f = append(f, found{code: CombinationChanged, detail: "oneOf"})
	}
	if b.Not != nil && !equality.Semantic.DeepEqual(a.Not, b.Not) {
		f = append(f, found{code: CombinationChanged, detail: "not"})
	}
	for _, s := range []*schema{a, b} {
		s.AllOf, s.AnyOf, s.OneOf, s.Not = nil, nil, nil, nil
	}
	return f
}

// saysIntOrString is whether anyOf only repeats what x-kubernetes-int-or-string says.
func saysIntOrString(s *schema) bool {
	return len(s.AnyOf) == 2 && equality.Semantic.DeepEqual(s.AnyOf, []schema{{Type: "integer"}, {Type: "string"}})
}

// strip takes the words out of the parts of a combination.
func strip(s *schema) {
	for _, parts := range [][]schema{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range parts {
			stripAll(&parts[i])
		}
	}
	stripAll(s.Not)
}

func stripAll(s *schema) {
	if s == nil {
		return
	}
	s.Description, s.Title, s.Example, s.ExternalDocs = "", "", nil, nil
	strip(s)
	for _, name := range slices.Collect(maps.Keys(s.Properties)) {
		child := s.Properties[name]
		stripAll(&child)
		s.Properties[name] = child
	}
	if s.Items != nil {
		stripAll(s.Items.Schema)
	}
}

func embedded(_ nodes, a, b *schema) []found {
	tighter := b.XEmbeddedResource && !a.XEmbeddedResource
	a.XEmbeddedResource, b.XEmbeddedResource = false, false
	if tighter {
		return []found{{code: EmbeddedObject}}
	}
	return nil
}

// differing returns the names of the fields in which two schemas differ.
func differing(a, b *schema) []string {
	if equality.Semantic.DeepEqual(a, b) {
		return nil
	}
	var names []string
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range va.NumField() {
		if !equality.Semantic.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			names = append(names, strings.Split(va.Type().Field(i).Tag.Get("json"), ",")[0])
		}
	}
	return names
}
