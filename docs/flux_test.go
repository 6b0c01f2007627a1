package docs_test

import (
	"os"
	"testing"
)

// TestFluxPageNamesTests: each row of flux-cli.md that says how a command works here names the story that shows it.
func TestFluxPageNamesTests(t *testing.T) {
	text, err := os.ReadFile("flux-cli.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, tests := readPage(string(text)).rows, testsOf(t, "../e2e")
	if len(rows) == 0 {
		t.Fatal("no row names a test")
	}
	for _, r := range rows {
		if len(r.tests) == 0 {
			t.Errorf("%s: names no test", r.about)
		}
		for _, name := range r.tests {
			if wrong := tests.wrong(name); wrong != "" {
				t.Errorf("%s: %s", r.about, wrong)
			}
		}
	}
}
