package pack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// schemaURL names a schema while it is compiled. Nothing is there: a schema may refer to itself only.
const schemaURL = "package:///values.schema.json"

// alone is a loader of schemas that has none: what strangers write must not have us open files and addresses.
type alone struct{}

func (alone) Load(string) (any, error) {
	return nil, errors.New("it refers to another schema: write that into $defs and refer to it with #/$defs/NAME")
}

// compileSchema reads a JSON schema; nil for none. What is no schema is an error, and so is a reference to another one.
func compileSchema(schema map[string]any) (_ *jsonschema.Schema, err error) {
	if schema == nil {
		return nil, nil
	}
	// The library is known to panic on some schemas that aren't any.
	defer func() {
		if recover() != nil {
			err = errors.New("it is no JSON schema that can be used: check it with a validator of JSON schemas")
		}
	}()
	plain, err := numbered(schema)
	if err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(alone{})
	if err := c.AddResource(schemaURL, plain); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("it is no JSON schema: %s", strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), schemaURL, "schema")), " "))
	}
	return compiled, nil
}

// numbered gives a value in the form in which the validator loses nothing of numbers.
func numbered(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// maxComplaints is how many of the things that are wrong with values are told.
const maxComplaints = 16

// checkValues holds values against a schema. Errors are *[Invalid]s, one for each setting that is wrong; none of them says what the
// setting is: it may come from a Secret.
func checkValues(schema *jsonschema.Schema, values Values) error {
	if schema == nil {
		return nil
	}
	if values == nil {
		values = Values{}
	}
	plain, err := numbered(values)
	if err != nil {
		return &Invalid{Message: "the values are no JSON", Err: err}
	}
	err = schema.Validate(plain)
	var broken *jsonschema.ValidationError
	if err == nil {
		return nil
	}
	if !errors.As(err, &broken) {
		return &Invalid{Message: "the values can't be held against the schema", Err: err}
	}
	var all []error
	for _, leaf := range leaves(broken) {
		one := &Invalid{Field: fieldOf(leaf.InstanceLocation), Message: complaint(leaf.ErrorKind)}
		if slices.ContainsFunc(all, func(e error) bool { return e.Error() == one.Error() }) {
			continue
		}
		if all = append(all, one); len(all) == maxComplaints {
			break
		}
	}
	return errors.Join(all...)
}

// leaves are the causes that have no cause of their own. Of alternatives none of which fits, each says why not.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// fieldOf writes a place as people write it: values.replicas, values.hosts[0].
func fieldOf(location []string) string {
	var b strings.Builder
	b.WriteString("values")
	for _, part := range location {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			b.WriteString("[" + part + "]")
			continue
		}
		b.WriteString("." + part)
	}
	return b.String()
}

// complaint says what is wrong with a setting without saying what it is.
func complaint(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("it is of the type %s: write %s", k.Got, article(k.Want))
	case *kind.Enum:
		return "write one of " + listed(k.Want)
	case *kind.Const:
		return "write " + listed([]any{k.Want})
	case *kind.Required:
		return "something is missing: set " + strings.Join(k.Missing, ", ")
	case *kind.AdditionalProperties:
		return fmt.Sprintf("there is no setting %s: remove it, or look at its spelling", strings.Join(k.Properties, ", "))
	case *kind.Pattern:
		return fmt.Sprintf("it doesn't match the pattern %q", k.Want)
	case *kind.Format:
		return "it is no " + k.Want
	case *kind.Minimum:
		return "write a number that is at least " + number(k.Want)
	case *kind.Maximum:
		return "write a number that is at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "write a number above " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "write a number below " + number(k.Want)
	case *kind.MultipleOf:
		return "write a multiple of " + number(k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("write at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("write at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("write at least %d of them", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("write at most %d of them", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("write at least %d of them", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("write at most %d of them", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("[%d] and [%d] are the same: remove one", k.Duplicates[0], k.Duplicates[1])
	case *kind.DependentRequired:
		return fmt.Sprintf("with %s, %s is needed", k.Prop, strings.Join(k.Missing, ", "))
	case *kind.FalseSchema:
		return "this setting can't be used here: remove it"
	}
	return fmt.Sprintf("it isn't what the package's schema asks for (%s)", strings.Join(k.KeywordPath(), "/"))
}

func article(types []string) string { return strings.Join(types, " or ") }

// listed shows what the schema says, which is the package's own text.
func listed(values []any) string {
	shown := make([]string, 0, len(values))
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil || len(text) > 100 {
			text = []byte("…")
		}
		if shown = append(shown, string(text)); len(shown) == 20 {
			shown = append(shown, "…")
			break
		}
	}
	return strings.Join(shown, ", ")
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(6), "0")
}
