package tutorial

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/slipway/internal/lab"
)

const (
	labName = "tutorial-test"
	top     = "../.."
	// chooses is the block in which readers say which lab and folder to use.
	chooses = "export LAB="
)

// TestTutorial runs the commands of the tutorials that begin with a lab of their own.
func TestTutorial(t *testing.T) {
	if err := lab.RealNodesPossible(t.Context()); err != nil {
		t.Skipf("this machine can't run a real node: %v", err)
	}
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("this machine has no kubectl, which the tutorial asks for")
	}
	for _, name := range []string{"first-delivery", "module"} {
		t.Run(name, func(t *testing.T) { run(t, filepath.Join(top, "docs", "tutorial-"+name+".md")) })
	}
}

// run executes a tutorial's commands in the order of the text, in one shell that ends with the first that fails.
func run(t *testing.T, text string) {
	t.Helper()
	processes := newGroup(t) // ends after the lab is removed, which has processes of its own
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if _, err := lab.Down(ctx, labName); err != nil {
			t.Errorf("remove the lab: %v", err)
		}
	})
	script := "set -euxo pipefail\nexport LAB=" + labName + " WORK=" + filepath.Join(t.TempDir(), "work") + "\n"
	for _, block := range blocks(t, text) {
		if !strings.HasPrefix(block, chooses) {
			script += block
		}
	}
	if out, err := processes.run(script, top, "NO_COLOR=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"); err != nil {
		t.Fatalf("the tutorial doesn't work: %v\n%s", err, out)
	}
}

// blocks returns a tutorial's commands.
func blocks(t *testing.T, text string) []string {
	t.Helper()
	data, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		found = append(found, m[1])
	}
	if len(found) < 10 || !strings.HasPrefix(found[0], chooses) {
		t.Fatalf("the tutorial has %d blocks of commands, and the first doesn't choose a lab", len(found))
	}
	return found
}
