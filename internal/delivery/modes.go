package delivery

import (
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/apply/observe"
)

const (
	// annotationApply on a Kustomization says whether a set is applied as a whole (atomic, the default) or as far as it can be.
	annotationApply = "slipway.dev/apply"
	applyAtomic     = "atomic"
	applyContinue   = "continue-on-error"

	// reasonInvalidAnnotation is the reason of a mode that nobody can read.
	reasonInvalidAnnotation = "InvalidAnnotation"
)

// modes are what annotations of a Kustomization ask for.
type modes struct {
	// drift is what becomes of changes by others.
	drift observe.Mode
	// onward: what is valid of a set is applied although something else of it is not.
	onward bool
}

func modesOf(obj *kustomizev1.Kustomization) (modes, error) {
	var out modes
	var err error
	notes := obj.GetAnnotations()
	if out.drift, err = observe.ParseMode(notes[observe.AnnotationDrift]); err != nil {
		return out, err
	}
	switch value := notes[annotationApply]; strings.ToLower(value) {
	case "", applyAtomic:
	case applyContinue:
		out.onward = true
	default:
		return out, fmt.Errorf("annotation %s is %q: use %s or %s", annotationApply, value, applyAtomic, applyContinue)
	}
	return out, nil
}
