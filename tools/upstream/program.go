package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// program is what can be built.
type program struct {
	module, version string
	// main is the package in the module, and stamp the variable that takes the version, if any.
	main, stamp string
	// nested are modules in folders of this one. The newest of each that the module proxy hands out serves: they are types only.
	nested map[string]string
	// prepare changes the copy of the module that is built.
	prepare func(source string) error
}

var programs = map[string]program{
	"flux":                 {module: "github.com/fluxcd/flux2/v2", version: "2.9.4", main: "./cmd/flux", stamp: "main.VERSION", prepare: addManifest},
	"kustomize-controller": {module: "github.com/fluxcd/kustomize-controller", version: "1.9.6", main: ".", nested: map[string]string{"api": "github.com/fluxcd/kustomize-controller/api@v1.9.5"}},
	"source-controller":    {module: "github.com/fluxcd/source-controller", version: "1.9.6", main: ".", nested: map[string]string{"api": "github.com/fluxcd/source-controller/api@v1.9.5"}},
	"versitygw":            {module: "github.com/versity/versitygw", version: "1.8.0", main: "./cmd/versitygw", stamp: "main.Version"},
}

func find(name string) (program, error) {
	p, ok := programs[name]
	if !ok {
		return p, fmt.Errorf("no program %q; known are %s", name, strings.Join(slices.Sorted(maps.Keys(programs)), ", "))
	}
	return p, nil
}

// flags are those of the linker.
func (p program) flags() string {
	flags := "-s -w"
	if p.stamp != "" {
		flags += " -X " + p.stamp + "=" + p.version
	}
	return flags
}

// addManifest puts one file where flux embeds manifests/*.yaml, which only
// `flux install` and `flux bootstrap` need.
func addManifest(source string) error {
	folder := filepath.Join(source, "cmd", "flux", "manifests")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "none.yaml"), []byte("# no manifests\n"), 0o644)
}
