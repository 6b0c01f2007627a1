package interpret

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// maxFile is the size of the largest Interpreter that is read from a file, in bytes: what the API server takes, and some more for YAML.
const maxFile = 2 << 20

// interpreterKind is what an Interpreter is in the cluster, in any version.
func interpreterKind() schema.GroupKind {
	return schema.GroupKind{Group: "slipway.dev", Kind: "Interpreter"}
}

// IsInterpreter says whether an object is an Interpreter.
func IsInterpreter(obj *unstructured.Unstructured) bool {
	return obj.GroupVersionKind().GroupKind() == interpreterKind()
}

// Read reads an Interpreter from YAML, strictly: a field that it does not have is an error.
func Read(content []byte) (name string, d Definition, err error) {
	if len(content) > maxFile {
		return "", Definition{}, fmt.Errorf("it has %d bytes; %d are the limit", len(content), maxFile)
	}
	var whole struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       Definition     `json:"spec"`
		Status     map[string]any `json:"status,omitempty"`
	}
	asJSON, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return "", Definition{}, err
	}
	// Strict for unknown fields, and as the API server does: whole numbers stay whole.
	problems, err := kjson.UnmarshalStrict(asJSON, &whole)
	if err := errors.Join(append(problems, err)...); err != nil {
		return "", Definition{}, err
	}
	what := &unstructured.Unstructured{Object: map[string]any{"apiVersion": whole.APIVersion, "kind": whole.Kind}}
	if !IsInterpreter(what) {
		return "", Definition{}, fmt.Errorf("it is a %s of %s, not an %s", whole.Kind, whole.APIVersion, interpreterKind())
	}
	name, _ = whole.Metadata["name"].(string)
	if name == "" {
		return "", Definition{}, errors.New("it has no metadata.name")
	}
	return name, whole.Spec, nil
}

// FromSpec reads the spec of an Interpreter of the cluster from JSON, as strictly as Read does: half of what is taught may mean something else
// than all of it.
func FromSpec(spec []byte) (Definition, error) {
	var d Definition
	problems, err := kjson.UnmarshalStrict(spec, &d)
	if err := errors.Join(append(problems, err)...); err != nil {
		return Definition{}, err
	}
	return d, nil
}
