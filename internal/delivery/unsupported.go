package delivery

import (
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/build"
)

// reasonUnsupported is the condition reason of a spec that asks for what isn't served yet. Leaving the field out of account would
// apply something else than was asked for.
const reasonUnsupported = "UnsupportedField"

// maxHealthChecks bounds the objects that one Kustomization may have watched one by one.
const maxHealthChecks = 100

// unsupported names the fields of spec that are not served, or returns nil.
func unsupported(spec *kustomizev1.KustomizationSpec) error {
	if err := build.Unsupported(*spec); err != nil {
		return err
	}
	if n := len(spec.HealthChecks); n > maxHealthChecks {
		return fmt.Errorf("spec.healthChecks names %d objects, more than %d; use spec.wait, or split the Kustomization", n, maxHealthChecks)
	}
	return nil
}
