package docs_test

import (
	"os"
	"reflect"
	"testing"
)

// TestPlanPageNamesTests: each finding of modules-plan.md names the tests that show it.
func TestPlanPageNamesTests(t *testing.T) {
	text, err := os.ReadFile("modules-plan.md")
	if err != nil {
		t.Fatal(err)
	}
	type none struct{}
	for _, complaint := range check(string(text), reflect.TypeFor[none](), reflect.TypeFor[none](), testsOf(t, "..")) {
		t.Error(complaint)
	}
}
