package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// reading turns a YAML document into JSON.
type reading func([]byte) ([]byte, error)

// strictly refuses keys that are there twice; leniently takes the last one, as Helm does with what templates write.
func strictly(document []byte) ([]byte, error)  { return yaml.YAMLToJSONStrict(document) }
func leniently(document []byte) ([]byte, error) { return yaml.YAMLToJSON(document) }

// parseObjects reads the objects in a text of any number of YAML documents. Lists are taken apart.
func parseObjects(text string, read reading) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := parseObject(document, read)
		if err != nil {
			return nil, err
		}
		if len(content) == 0 {
			continue
		}
		found, err := objectsOf(content)
		if err != nil {
			return nil, err
		}
		if all = append(all, found...); len(all) > maxObjects {
			return nil, fmt.Errorf("it has more than %d objects", maxObjects)
		}
	}
}

// parseObject reads one document as the API server would: whole numbers stay whole.
func parseObject(document []byte, read reading) (map[string]any, error) {
	asJSON, err := read(document)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := utiljson.Unmarshal(asJSON, &content); err != nil {
		return nil, errors.New("it is no object: write apiVersion, kind and metadata")
	}
	return content, nil
}

func objectsOf(content map[string]any) ([]*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{Object: content}
	if o.GetAPIVersion() == "" || o.GetKind() == "" {
		return nil, errors.New("an object has no apiVersion or no kind")
	}
	items, isList := content["items"].([]any)
	if isList && strings.HasSuffix(o.GetKind(), "List") {
		var all []*unstructured.Unstructured
		for _, item := range items {
			inner, ok := item.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("the %s has something else than objects in it", o.GetKind())
			}
			found, err := objectsOf(inner)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}
	if _, ok := content["metadata"].(map[string]any); !ok || o.GetName() == "" {
		return nil, fmt.Errorf("a %s has no metadata.name", o.GetKind())
	}
	for _, field := range []string{"labels", "annotations"} {
		if _, _, err := unstructured.NestedStringMap(content, "metadata", field); err != nil {
			return nil, fmt.Errorf("the %s %s has something else than text in metadata.%s: put it in quotes", o.GetKind(), o.GetName(), field)
		}
	}
	return []*unstructured.Unstructured{o}, nil
}
