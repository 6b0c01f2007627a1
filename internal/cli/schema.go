package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/slipway/config"
)

// checkSchema holds an object against the definition of its kind that this binary carries, so that most of what an API server would
// refuse is refused without one: missing, empty and overlong values, patterns, enumerations. The rules in CEL are the API server's.
func checkSchema(k kind, obj *unstructured.Unstructured) error {
	text, err := config.FS.ReadFile(path.Join("crd", "bases", k.group+"_"+k.resource+".yaml"))
	if err != nil {
		return fmt.Errorf("read the definition of %s: %w", k.name, err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return fmt.Errorf("read the definition of %s: %w", k.name, err)
	}
	for _, version := range definition.Spec.Versions {
		if version.Name == obj.GroupVersionKind().Version {
			spec := version.Schema.OpenAPIV3Schema.Properties["spec"]
			return asUsage(errors.Join(against("spec", spec, obj.Object["spec"])...))
		}
	}
	return fmt.Errorf("the definition of %s has no version %s", k.name, obj.GroupVersionKind().Version)
}

// against compares a value with its schema, and all below it.
func against(at string, schema apiextensionsv1.JSONSchemaProps, value any) []error {
	var wrong []error
	switch v := value.(type) {
	case map[string]any:
		for _, name := range schema.Required {
			if _, ok := v[name]; !ok {
				wrong = append(wrong, fmt.Errorf("%s.%s is missing", at, name))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if field, ok := schema.Properties[name]; ok {
				wrong = append(wrong, against(at+"."+name, field, v[name])...)
			}
		}
	case []any:
		for i, item := range v {
			if schema.Items != nil && schema.Items.Schema != nil {
				wrong = append(wrong, against(fmt.Sprintf("%s[%d]", at, i), *schema.Items.Schema, item)...)
			}
		}
	case string:
		if err := againstText(schema, v); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %q %w", at, v, err))
		}
	}
	return wrong
}

// againstText holds a string against its schema.
func againstText(schema apiextensionsv1.JSONSchemaProps, value string) error {
	length := int64(utf8.RuneCountInString(value))
	switch {
	case schema.MinLength != nil && length < *schema.MinLength:
		return fmt.Errorf("has %d letters, of at least %d", length, *schema.MinLength)
	case schema.MaxLength != nil && length > *schema.MaxLength:
		return fmt.Errorf("has %d letters, of at most %d", length, *schema.MaxLength)
	case len(schema.Enum) > 0:
		var known []string
		for _, raw := range schema.Enum {
			var one string
			if json.Unmarshal(raw.Raw, &one) == nil {
				known = append(known, one)
			}
		}
		if !slices.Contains(known, value) {
			return fmt.Errorf("is none of %s", strings.Join(known, ", "))
		}
	}
	if schema.Pattern == "" {
		return nil
	}
	// A pattern that Go can't read is left to the API server.
	if pattern, err := regexp.Compile(schema.Pattern); err == nil && !pattern.MatchString(value) {
		return fmt.Errorf("must look like %s", schema.Pattern)
	}
	return nil
}
