package program

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Program is an executable that can be built from a module of the checkout.
type Program struct {
	// Name of the executable.
	Name string
	// Module is its folder, relative to the root of the checkout.
	Module string
	// Package is what is built, relative to Module.
	Package string
	// Versioned is the dependency whose version names the folder in the cache, and is stamped into the executable as the
	// version of Kubernetes. Empty: no version.
	Versioned string
}

// Kubernetes is etcd and the components of Kubernetes in one executable; the first argument names the component.
func Kubernetes() Program {
	return Program{Name: "slipway-lab", Module: "lab", Package: ".", Versioned: "k8s.io/kubernetes"}
}

// Addons is CoreDNS, metrics-server, kwok and an OCI registry in one executable; the first argument names the component.
func Addons() Program {
	return Program{Name: "slipway-addons", Module: "lab/addons", Package: "."}
}

// Pause is the program of the container that holds a pod's namespaces.
func Pause() Program {
	return Program{Name: "pause", Module: "lab", Package: "./pause"}
}

// source is what a program is built from, as it is now.
type source struct {
	dir     string // of the module, absolute
	version string // with the leading v; empty without Program.Versioned
	hash    string
}

func (p Program) source(checkout string) (source, error) {
	s := source{dir: filepath.Join(checkout, p.Module)}
	manifest, err := os.ReadFile(filepath.Join(s.dir, "go.mod"))
	if err != nil {
		return source{}, fmt.Errorf("sources of %s: %w", p.Name, err)
	}
	if p.Versioned != "" {
		pattern := regexp.MustCompile(`(?m)^\s*(?:require\s+)?` + regexp.QuoteMeta(p.Versioned) + `\s+(v\S+)`)
		match := pattern.FindSubmatch(manifest)
		if match == nil {
			return source{}, fmt.Errorf("sources of %s: %s/go.mod does not require %s", p.Name, s.dir, p.Versioned)
		}
		s.version = string(match[1])
	}
	if s.hash, err = hashSources(s.dir, p.Package); err != nil {
		return source{}, fmt.Errorf("sources of %s: %w", p.Name, err)
	}
	return s, nil
}

// folder is the name under which the executable is kept.
func (s source) folder() string { return cmp.Or(s.version, "v0") + "-" + s.hash }

// hashSources digests the module's go.mod and go.sum and the Go files at and below the package, without tests, other mains
// below it and nested modules.
func hashSources(module, pkg string) (string, error) {
	paths := []string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")}
	root := filepath.Join(module, pkg)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if path != root && separate(path) {
				return fs.SkipDir
			}
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.Sort(paths)
	sum := sha256.New()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a module without dependencies has no go.sum
		}
		if err != nil {
			return "", err
		}
		name, err := filepath.Rel(module, path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.ToSlash(name), len(data))
		sum.Write(data) // a hash never fails to write
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// separate reports folders whose code is not part of the program above them: modules of their own and other commands.
func separate(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return true
	}
	data, err := os.ReadFile(filepath.Join(dir, "main.go"))
	return err == nil && regexp.MustCompile(`(?m)^package main\b`).Match(data)
}

// module is the product's module path, by which a checkout is known.
const module = "module github.com/slipway-dev/slipway"

// ErrNoCheckout says that an executable must be built and there are no sources.
var ErrNoCheckout = errors.New("no checkout of Slipway found")

// Checkout finds the root of the checkout that the lab is built from: SLIPWAY_SOURCE if set, else the nearest above any of the
// given folders.
func Checkout(from ...string) (string, error) {
	if dir := os.Getenv("SLIPWAY_SOURCE"); dir != "" {
		if isCheckout(dir) {
			return filepath.Abs(dir)
		}
		return "", fmt.Errorf("SLIPWAY_SOURCE=%s: %w there", dir, ErrNoCheckout)
	}
	for _, dir := range from {
		abs, err := filepath.Abs(dir)
		if err != nil {
			continue
		}
		for ; ; abs = filepath.Dir(abs) {
			if isCheckout(abs) {
				return abs, nil
			}
			if abs == filepath.Dir(abs) {
				break
			}
		}
	}
	return "", fmt.Errorf("%w: run this inside one, or set SLIPWAY_SOURCE to its folder", ErrNoCheckout)
}

func isCheckout(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(first) == module
}
