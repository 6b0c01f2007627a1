package lifecycle

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocsAreDrawnFromTheTable(t *testing.T) {
	page, err := os.ReadFile("../../../docs/modules.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Embed(string(page))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("docs/modules.md isn't what the table says; run 'go generate ./internal/module/lifecycle' (-table +page):\n%s", diff)
	}
}

func TestEmbed(t *testing.T) {
	var page strings.Builder
	for name := range drawings() {
		page.WriteString("before " + name + "\n<!-- lifecycle: " + name + " -->\nold\n<!-- lifecycle end -->\nafter " + name + "\n")
	}
	once, err := Embed(page.String())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(once, "old\n") {
		t.Error("what was there before is still there")
	}
	for _, want := range []string{
		"before diagram\n", "after ignored\n", "    Planning --> Preparing: PlanGood [may start]", "  Module --> Uninstalling: Deleted [anything there]\n",
		"  Uninstalling --> [*]: Done\n", "| `Frozen` | an attempt failed", "| `Soaking` | `Done` |  | `Committing` | `BeginCommit`, `StartDeadline` |",
	} {
		if !strings.Contains(once, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if twice, err := Embed(once); err != nil || twice != once {
		t.Errorf("drawn twice it is another one: %v\n%s", err, cmp.Diff(once, twice))
	}
}
