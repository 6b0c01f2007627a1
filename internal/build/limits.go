package build

import (
	"fmt"
)

// Limits bound what one build may cost, so that a bad repository costs its owner a
// condition and nobody else anything.
type Limits struct {
	// FileBytes is the size of one file that is read. Default 8 MiB: etcd takes no
	// object above 1.5 MiB, and a file may hold several.
	FileBytes int64
	// InputBytes is the size of all files handed to Kustomize, counted each time a
	// file is handed over. Default 128 MiB.
	InputBytes int64
	// Kustomizations is how many kustomization files are visited, counted each time;
	// it bounds the depth of bases, too. Default 2000.
	Kustomizations int
	// Files is how many entries of folders are looked at when a folder without a
	// kustomization file is searched for manifests. Default 50000.
	Files int
	// YAMLNodes is how many nodes one file may have once its aliases are expanded.
	// Default 1000000.
	YAMLNodes int
	// YAMLDepth is how deep the YAML of a file may be nested. Default 200: Kubernetes'
	// own objects stay below 50.
	YAMLDepth int
	// Objects is how many objects a build may have. They are counted before Kustomize
	// gets them, because its work grows with their square and cannot be interrupted.
	// Default 3000.
	Objects int
	// RenderedBytes is the size of all rendered objects as JSON. Default 64 MiB.
	RenderedBytes int64
}

// DefaultLimits are the limits of a Builder without options.
func DefaultLimits() Limits {
	return Limits{
		FileBytes:      8 << 20,
		InputBytes:     128 << 20,
		Kustomizations: 2000,
		Files:          50_000,
		YAMLNodes:      1_000_000,
		YAMLDepth:      200,
		Objects:        3000,
		RenderedBytes:  64 << 20,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.FileBytes = orDefault(l.FileBytes, d.FileBytes)
	l.InputBytes = orDefault(l.InputBytes, d.InputBytes)
	l.Kustomizations = orDefault(l.Kustomizations, d.Kustomizations)
	l.Files = orDefault(l.Files, d.Files)
	l.YAMLNodes = orDefault(l.YAMLNodes, d.YAMLNodes)
	l.YAMLDepth = orDefault(l.YAMLDepth, d.YAMLDepth)
	l.Objects = orDefault(l.Objects, d.Objects)
	l.RenderedBytes = orDefault(l.RenderedBytes, d.RenderedBytes)
	return l
}

// What a build may cost at most that keeps all others waiting.
const (
	aloneObjects        = 300
	aloneInputBytes     = 16 << 20
	aloneKustomizations = 200
)

// alone are the limits of a build that runs while no other does.
func (l Limits) alone() Limits {
	l.Objects = min(l.Objects, aloneObjects)
	l.InputBytes = min(l.InputBytes, aloneInputBytes)
	l.Kustomizations = min(l.Kustomizations, aloneKustomizations)
	return l
}

func orDefault[T int | int64](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

func tooLarge(file, format string, args ...any) *Error {
	return &Error{Reason: ReasonTooLarge, File: file, Message: fmt.Sprintf(format, args...)}
}
