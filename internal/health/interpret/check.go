package interpret

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Failure is a test of a definition for which something else came out than was wanted.
type Failure struct {
	// Test is its name, Field what is different, such as health.
	Test, Field string
	// Want and Got are the two.
	Want, Got string
}

// Error says what was wanted and what came.
func (f Failure) Error() string {
	return fmt.Sprintf("test %q: %s: wanted %s, got %s", f.Test, f.Field, f.Want, f.Got)
}

// Examine reads a definition and runs its tests. wrong is all that its author has to correct: every fault of one that can't be read, of which
// there is no Interpreter then, else every test that fails.
func Examine(d Definition) (i *Interpreter, wrong []error) {
	i, err := Compile(d)
	if err != nil {
		return nil, Faults(err)
	}
	for _, failure := range Check(i, d.Tests) {
		wrong = append(wrong, failure)
	}
	return i, wrong
}

// Faults takes an error of Read, FromSpec or Compile apart: one fault each.
func Faults(err error) []error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return several.Unwrap()
	}
	return []error{err}
}

// Check runs the tests inside a definition. No failures: all that is wanted came.
func Check(i *Interpreter, tests []Test) []Failure {
	var all []Failure
	for _, t := range tests {
		all = append(all, i.check(t)...)
	}
	return all
}

func (i *Interpreter) check(t Test) []Failure {
	got := i.Interpret(&unstructured.Unstructured{Object: t.Object})
	var all []Failure
	fail := func(field, want, got string) {
		all = append(all, Failure{t.Name, field, want, got})
	}
	said := fmt.Sprintf("%s (%s: %s%s)", got.Health.State, got.Health.Reason, got.Health.Message, by(got.Rule))
	if t.Want.Health != "" && t.Want.Health != got.Health.State {
		fail("health", string(t.Want.Health), said)
	}
	if t.Want.Reason != "" && t.Want.Reason != got.Health.Reason {
		fail("reason", t.Want.Reason, said)
	}
	if t.Want.Message != "" && t.Want.Message != got.Health.Message {
		fail("message", fmt.Sprintf("%q", t.Want.Message), said)
	}
	if t.Want.Replicas != nil && !reflect.DeepEqual(t.Want.Replicas, got.Replicas) {
		fail("replicas", printed(t.Want.Replicas), printed(got.Replicas))
	}
	if t.Want.Drained != nil && !reflect.DeepEqual(t.Want.Drained, got.Drained) {
		fail("drained", printed(t.Want.Drained), printed(got.Drained))
	}
	if len(t.Want.Dependencies) > 0 && !sameDependencies(t.Want.Dependencies, got.Dependencies, t.Object) {
		fail("dependencies", printed(t.Want.Dependencies), printed(got.Dependencies))
	}
	if t.Want.Version != "" && t.Want.Version != got.Version {
		fail("version", fmt.Sprintf("%q", t.Want.Version), fmt.Sprintf("%q", got.Version))
	}
	// An expression that cannot be evaluated on an object of the tests is a mistake, unless the test is about it.
	if len(got.Problems) > 0 && t.Want.Reason != "ExpressionFailed" {
		fail("evaluation", "no problems", got.Problems[0])
	}
	return all
}

// sameDependencies compares in any order. A wanted one without a namespace is in the object's own, or in none.
func sameDependencies(wanted, got []Dependency, object map[string]any) bool {
	if len(wanted) != len(got) {
		return false
	}
	own := (&unstructured.Unstructured{Object: object}).GetNamespace()
	left := slices.Clone(got)
	for _, w := range wanted {
		n := slices.IndexFunc(left, func(d Dependency) bool {
			if w.Namespace == "" && (d.Namespace == own || d.Namespace == "") {
				d.Namespace = ""
			}
			return d == w
		})
		if n < 0 {
			return false
		}
		left = slices.Delete(left, n, n+1)
	}
	return true
}

func by(rule string) string {
	if rule == "" {
		return ""
	}
	return ", said by " + rule
}

func printed(v any) string {
	if v == nil || reflect.ValueOf(v).IsZero() {
		return "nothing"
	}
	content, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(content)
}
