// Command slipway is the one binary of Slipway: the CLI, the lab and the agent.
package main

import (
	"os"

	"github.com/slipway-dev/slipway/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
