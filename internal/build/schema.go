package build

import (
	"errors"
	"sync"

	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// errOwnSchema stops a build that found a kustomization with a schema of its own
// while it shared the built-in one.
var errOwnSchema = errors.New("a kustomization sets openapi")

// schemaGate guards kyaml's OpenAPI schema, which is one per process and not a
// value that a build could own. Parsing it costs many times what a build costs, so it
// is parsed once and kept; while it is parsed and unchanged, builds only read it and
// may run in parallel. A build that replaces it must be alone, and whoever comes next
// starts from the built-in schema again.
type schemaGate struct {
	mu   sync.RWMutex
	warm bool
}

// gate is a variable of the package because what it guards is one of kyaml's: two
// Builders in a process share that schema whether they want to or not.
var gate schemaGate

// withWarmSchema runs build while the built-in schema is parsed and nobody changes it.
func withWarmSchema(build func() error) error {
	gate.rlockWarm()
	err := build()
	leaked := openapi.GetSchemaVersion() != openapi.DefaultOpenAPI
	gate.mu.RUnlock()
	if leaked {
		gate.reset()
	}
	return err
}

// withOwnSchema runs build while no other build runs, and drops the schema it leaves.
func withOwnSchema(build func() error) error {
	gate.mu.Lock()
	defer gate.mu.Unlock()
	defer func() {
		openapi.ResetOpenAPI()
		gate.warm = false
	}()
	openapi.ResetOpenAPI()
	return build()
}

func (g *schemaGate) rlockWarm() {
	for {
		g.mu.RLock()
		if g.warm {
			return
		}
		g.mu.RUnlock()
		g.mu.Lock()
		if !g.warm {
			openapi.ResetOpenAPI()
			openapi.Schema() // parses
			g.warm = true
		}
		g.mu.Unlock()
	}
}

func (g *schemaGate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	openapi.ResetOpenAPI()
	g.warm = false
}
