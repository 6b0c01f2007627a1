// Package interpreters holds the ready-made interpreters: what the agent knows of other people's kinds. Each is a file as it could be applied
// to a cluster, called by its kind and group, with tests inside on objects in the shape of the real ones.
//
// To add one, add its file; its tests run with the others, and docs/interpreters.md has a table to put it in.
package interpreters

import (
	"embed"
	"io/fs"

	"github.com/slipway-dev/slipway/internal/health/interpret"
)

//go:embed *.yaml
var files embed.FS

// Files are the ready-made interpreters as they are written.
func Files() fs.FS { return files }

// All gives the ready-made interpreters.
func All() []interpret.ReadyMade {
	all, err := interpret.FromFiles(files)
	if err != nil {
		panic(err) // the pattern is a constant
	}
	return all
}
