package addon

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"text/template"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	_ "embed" // for objects.yaml
)

//go:embed objects.yaml
var objectsTemplate string

// fieldManager owns what the lab writes into its cluster.
const fieldManager = "slipway-lab"

// Apply tells the cluster of the add-ons: their roles, the Services that lead to them, and the API that metrics-server serves.
func (s *Set) Apply(ctx context.Context, config *rest.Config) error {
	objects, err := s.objects()
	if err != nil {
		return err
	}
	c, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	for _, object := range objects {
		// All of them are kinds whose resource's name is the plural that one would guess.
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
		if _, err := c.Resource(resource).Namespace(object.GetNamespace()).Apply(ctx, object.GetName(), object, options); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func (s *Set) objects() ([]*unstructured.Unstructured, error) {
	authority, err := s.Plane.Authority()
	if err != nil {
		return nil, err
	}
	t, err := template.New("objects").Option("missingkey=error").Parse(objectsTemplate)
	if err != nil {
		return nil, fmt.Errorf("read the add-ons' objects: %w", err)
	}
	var rendered bytes.Buffer
	err = t.Execute(&rendered, struct {
		*Set
		CABundle string
	}{s, base64.StdEncoding.EncodeToString(authority.PEM())})
	if err != nil {
		return nil, fmt.Errorf("render the add-ons' objects: %w", err)
	}
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(&rendered, 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the add-ons' objects: %w", err)
		}
		objects = append(objects, object)
	}
}
