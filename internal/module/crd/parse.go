package crd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

const (
	// MaxBytes is how large a definition may be to be read, in bytes. It is above what etcd takes, so that one that is too large is
	// judged as such.
	MaxBytes = 4 << 20
	// MaxDepth is how deep a definition may be nested. Those with a whole pod template in them stay below 50.
	MaxDepth = 200
)

// ErrInvalid is what all errors of Parse and FromObject are.
var ErrInvalid = errors.New("not a usable CustomResourceDefinition")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// Parse reads one definition from YAML or JSON.
func Parse(text []byte) (*apiextensionsv1.CustomResourceDefinition, error) {
	if len(text) > MaxBytes {
		return nil, invalid("it has %d bytes; at most %d are read", len(text), MaxBytes)
	}
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, invalid("%w", err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(text, &content); err != nil { // whole numbers stay whole
		return nil, invalid("%w", err)
	}
	return FromObject(&unstructured.Unstructured{Object: content})
}

// FromObject reads a definition that is an object already. Fields that this release doesn't know are an error: what they mean for
// stored objects can't be judged.
func FromObject(object *unstructured.Unstructured) (*apiextensionsv1.CustomResourceDefinition, error) {
	if v, k := object.GetAPIVersion(), object.GetKind(); v != apiextensionsv1.SchemeGroupVersion.String() || k != "CustomResourceDefinition" {
		return nil, invalid("it is a %q of %q; a CustomResourceDefinition of %s is needed", k, v, apiextensionsv1.SchemeGroupVersion)
	}
	if !within(object.Object, MaxDepth) {
		return nil, invalid("it is nested deeper than %d", MaxDepth)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, definition, true); err != nil {
		return nil, invalid("%w", err)
	}
	if err := check(definition); err != nil {
		return nil, err
	}
	return definition, nil
}

// within is whether a value is nested no deeper than depth.
func within(value any, depth int) bool {
	if depth < 0 {
		return false
	}
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			if !within(child, depth-1) {
				return false
			}
		}
	case []any:
		return !slices.ContainsFunc(v, func(child any) bool { return !within(child, depth-1) })
	}
	return true
}

// check holds a definition to what the rest of the package relies on.
func check(definition *apiextensionsv1.CustomResourceDefinition) error {
	spec := definition.Spec
	if want := spec.Names.Plural + "." + spec.Group; definition.Name != want {
		return invalid("its name is %q; its plural and group make it %q", definition.Name, want)
	}
	if spec.Names.Kind == "" {
		return invalid("%s names no kind", definition.Name)
	}
	seen := map[string]bool{}
	stored := 0
	for _, v := range spec.Versions {
		if v.Name == "" || seen[v.Name] {
			return invalid("%s has version %q twice, or a version without a name", definition.Name, v.Name)
		}
		seen[v.Name] = true
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			return invalid("%s has no schema in version %s", definition.Name, v.Name)
		}
		if v.Storage {
			stored++
		}
	}
	if stored != 1 {
		return invalid("%s marks %d versions as stored; it must be one", definition.Name, stored)
	}
	return nil
}

// normal returns a copy with the defaults that the API server sets, and with values in one form, so that only meaning differs.
func normal(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	if definition == nil {
		return nil
	}
	n := definition.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&n.Spec)
	if conversion := n.Spec.Conversion; conversion != nil && conversion.Webhook != nil && conversion.Webhook.ClientConfig != nil {
		// Certificate authorities come and go: cert-manager's injector writes them, packages don't have them.
		conversion.Webhook.ClientConfig.CABundle = nil
	}
	for i := range n.Spec.Versions {
		if n.Spec.Versions[i].Schema != nil {
			canonical(n.Spec.Versions[i].Schema.OpenAPIV3Schema)
		}
	}
	return n
}

// canonical brings the JSON values of a schema into one form, in place.
func canonical(schema *apiextensionsv1.JSONSchemaProps) {
	if schema == nil {
		return
	}
	if schema.Default != nil {
		schema.Default.Raw = canonicalJSON(schema.Default.Raw)
	}
	for i := range schema.Enum {
		schema.Enum[i].Raw = canonicalJSON(schema.Enum[i].Raw)
	}
	for name, child := range schema.Properties {
		canonical(&child)
		schema.Properties[name] = child
	}
	if schema.Items != nil {
		canonical(schema.Items.Schema)
	}
	if schema.AdditionalProperties != nil {
		canonical(schema.AdditionalProperties.Schema)
	}
}

func canonicalJSON(raw []byte) []byte {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return raw
	}
	text, err := json.Marshal(value)
	if err != nil {
		return raw
	}
	return text
}
