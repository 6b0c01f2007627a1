package protocol

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocsAreDrawnFromTheTable(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/agentupgrade.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Embed(string(page))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("docs/agentupgrade.md isn't what the table says; run 'go generate ./internal/agent/upgrade/protocol' (-table +page):\n%s", diff)
	}
	for _, want := range []string{
		"  [*] --> Pending\n", "  Starting --> HandingOver: Old Done\n", "  Proving --> Committing: New Done\n", "  TakenBack --> [*]\n",
		"| `Committing` | the new agent has proved itself",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
