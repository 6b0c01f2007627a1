package crd

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Steps are the definitions that lead from the live one to the next. Between First and Flip the change can be taken back (see Back);
// what comes after belongs to the commit.
type Steps struct {
	// First serves all that is new and all that was served, and stores objects as before. It is applied with the new version.
	First *apiextensionsv1.CustomResourceDefinition
	// Flip stores in the next definition's version. It is applied at the commit; equal to First where that doesn't change.
	Flip *apiextensionsv1.CustomResourceDefinition
	// Migrate says that objects may be stored in other versions than Final's: after Flip each has to be written once, unchanged, and
	// status.storedVersions to be set to StoredVersions then. It stays true until that is done, so that a commit can be resumed.
	Migrate bool
	// StoredVersions is what status.storedVersions has to be before Final is applied. Nil where nothing is trimmed.
	StoredVersions []string
	// Final is the next definition as its package has it.
	Final *apiextensionsv1.CustomResourceDefinition
}

var (
	// ErrStored is returned where objects are stored in a version that the definition to go to has no place for.
	ErrStored = errors.New("objects are stored in versions that the definition doesn't have")
	// ErrRemoved is returned for a definition that has no next one: deleting it deletes its objects, which is no step of an upgrade.
	ErrRemoved = errors.New("the next version of the package doesn't have the definition")
)

// TwoStep makes the steps from live, as it is in the cluster with its status, to next. Live may be nil, and may be the result of a step
// that was applied before: the answer is the same. It doesn't judge the change; Compare does.
//
// Versions that next doesn't serve stay served until the end, and versions that it doesn't have stay with the schema that they
// have in live, unless a webhook converts: it may not know them. If objects are stored in such a version, the error is ErrStored.
func TwoStep(live, next *apiextensionsv1.CustomResourceDefinition) (Steps, error) {
	if err := same(live, next); err != nil {
		return Steps{}, err
	}
	if next == nil {
		return Steps{}, fmt.Errorf("%s: %w", live.Name, ErrRemoved)
	}
	final := intent(next)
	if live == nil {
		return Steps{First: final, Flip: final.DeepCopy(), Final: final.DeepCopy()}, nil
	}
	first := final.DeepCopy()
	for _, was := range live.Spec.Versions {
		switch is := version(first, was.Name); {
		case is != nil:
			is.Served = is.Served || was.Served
		case keeps(live, next, was.Name):
			kept := *was.DeepCopy()
			kept.Storage = false
			first.Spec.Versions = append(first.Spec.Versions, kept)
		}
	}
	if lost := missing(live, first); len(lost) > 0 {
		return Steps{}, fmt.Errorf("%s: %w: %v", live.Name, ErrStored, lost)
	}
	flip := first.DeepCopy()
	store(first, storage(live))
	s := Steps{First: first, Flip: flip, Final: final}
	if to, in := storage(next), stored(live); len(in) > 1 || !in[to] {
		s.Migrate, s.StoredVersions = true, []string{to}
	}
	return s, nil
}

// Back makes the definition that takes First back: the previous one, as its package had it. After Flip that is only possible where the
// previous definition has the version that objects may have been stored in since; if not, the error is ErrStored.
func Back(live, previous *apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.CustomResourceDefinition, error) {
	if err := same(live, previous); err != nil {
		return nil, err
	}
	if previous == nil {
		return nil, fmt.Errorf("%s: %w", live.Name, ErrRemoved)
	}
	back := intent(previous)
	if live == nil {
		return back, nil
	}
	if lost := missing(live, back); len(lost) > 0 {
		return nil, fmt.Errorf("%s: %w: %v; this is past the point of no return, go forward instead", live.Name, ErrStored, lost)
	}
	return back, nil
}

// keeps is whether a version that next doesn't have can stay until the commit: where versions differ in their name only, the schema
// that it had will do.
func keeps(live, next *definition, name string) bool {
	was := version(live, name)
	return was != nil && (was.Served || stored(live)[name]) && webhook(next) == nil
}

// missing are the versions in which objects may be stored and that a definition doesn't have. The API server refuses such a definition.
func missing(live, d *definition) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(stored(live))) {
		if version(d, name) == nil {
			names = append(names, name)
		}
	}
	return names
}

// store marks the version to store in.
func store(d *definition, name string) {
	for i := range d.Spec.Versions {
		d.Spec.Versions[i].Storage = d.Spec.Versions[i].Name == name
	}
}

// intent is what somebody wants of a definition: what the API server wrote into it isn't part of it.
func intent(d *definition) *definition {
	return &definition{
		TypeMeta: metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "CustomResourceDefinition"},
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name, Labels: maps.Clone(d.Labels), Annotations: maps.Clone(d.Annotations),
		},
		Spec: *d.Spec.DeepCopy(),
	}
}

// Object is a definition as it is sent to the API server: without status, and without what is only empty.
func Object(d *apiextensionsv1.CustomResourceDefinition) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(intent(d))
	if err != nil {
		return nil, fmt.Errorf("write %s as an object: %w", d.Name, err)
	}
	unstructured.RemoveNestedField(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	return &unstructured.Unstructured{Object: content}, nil
}
