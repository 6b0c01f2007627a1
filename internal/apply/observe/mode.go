package observe

import (
	"fmt"
	"strings"
)

// AnnotationDrift says what becomes of changes that others make to an object that was applied: on the object, or on the Kustomization for
// all objects that have none of their own.
const AnnotationDrift = "slipway.dev/drift"

// Mode is a value of AnnotationDrift.
type Mode uint8

const (
	// ModeUnset is where there is no annotation.
	ModeUnset Mode = iota
	// ModeCorrect puts the object back.
	ModeCorrect
	// ModeWarn tells of the drift, and leaves it until the object changes in the source or somebody asks for a reconcile.
	ModeWarn
	// ModeIgnore does neither.
	ModeIgnore
)

// ParseMode reads a value of AnnotationDrift; "" is ModeUnset.
func ParseMode(text string) (Mode, error) {
	switch strings.ToLower(text) {
	case "":
		return ModeUnset, nil
	case "correct":
		return ModeCorrect, nil
	case "warn":
		return ModeWarn, nil
	case "ignore":
		return ModeIgnore, nil
	}
	return ModeUnset, fmt.Errorf("annotation %s is %q: use correct, warn or ignore", AnnotationDrift, text)
}

// Or returns the mode, or another where it is unset.
func (m Mode) Or(other Mode) Mode {
	if m == ModeUnset {
		return other
	}
	return m
}
