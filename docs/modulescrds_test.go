package docs_test

import (
	"os"
	"reflect"
	"testing"
)

// TestCRDPageNamesTests: each finding of modules-crds.md names the tests that show it. That the page has all of them, with their severities,
// is a test of internal/module/crd, which has the table.
func TestCRDPageNamesTests(t *testing.T) {
	text, err := os.ReadFile("modules-crds.md")
	if err != nil {
		t.Fatal(err)
	}
	type none struct{}
	for _, complaint := range check(string(text), reflect.TypeFor[none](), reflect.TypeFor[none](), testsOf(t, "..")) {
		t.Error(complaint)
	}
}
