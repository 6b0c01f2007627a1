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
	// prepare changes the copy of the module that is built.
	prepare func(source string) error
	// within is the nested module that requires the program, where a copy of its own module can't be built because the module proxy
	// lacks a version that it requires.
	within string
}

// peers is where the controllers are built, with the nearest version in place of each that is lacking: its go.mod names them.
var peers = filepath.Join("bench", "peers")

var programs = map[string]program{
	"flux":                 {module: "github.com/fluxcd/flux2/v2", version: "2.9.4", main: "./cmd/flux", stamp: "main.VERSION", prepare: addManifest},
	"kustomize-controller": {module: "github.com/fluxcd/kustomize-controller", version: "1.9.6", within: peers},
	"source-controller":    {module: "github.com/fluxcd/source-controller", version: "1.9.6", within: peers},
	"flagger-1.37":         {module: "github.com/fluxcd/flagger", version: "1.37.0", main: "./cmd/flagger"},
	"flagger-1.36":         {module: "github.com/fluxcd/flagger", version: "1.36.1", main: "./cmd/flagger"},
	"flagger-1.41":         {module: "github.com/fluxcd/flagger", version: "1.41.0", main: "./cmd/flagger"},
	"jobset-0.10":          {module: "sigs.k8s.io/jobset", version: "0.10.1", main: "."},
	"jobset-0.11":          {module: "sigs.k8s.io/jobset", version: "0.11.0", main: "."},
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
