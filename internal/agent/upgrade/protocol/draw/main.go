// Command draw writes the drawings of an upgrade of the agent into a page: go run ./internal/agent/upgrade/protocol/draw PAGE.
package main

import (
	"fmt"
	"os"

	"github.com/slipway-dev/slipway/internal/agent/upgrade/protocol"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: draw PAGE")
		os.Exit(2)
	}
	if err := draw(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "draw:", err)
		os.Exit(1)
	}
}

func draw(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	drawn, err := protocol.Embed(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(drawn), 0o644)
}
