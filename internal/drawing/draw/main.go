// Command draw writes what is drawn from a table into the page that tells of it: go run ./internal/drawing/draw SUBJECT PAGE. Subjects are
// lifecycle (a module's life) and protocol (an upgrade of the agent).
package main

import (
	"fmt"
	"os"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
	"github.com/slipway-dev/slipway/internal/module/lifecycle"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: draw lifecycle|protocol PAGE")
		os.Exit(2)
	}
	if err := draw(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

func draw(subject, page string) error {
	embed, ok := map[string]func(string) (string, error){"lifecycle": lifecycle.Embed, "protocol": protocol.Embed}[subject]
	if !ok {
		return fmt.Errorf("no subject %q: lifecycle or protocol", subject)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	drawn, err := embed(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(drawn), 0o644)
}
