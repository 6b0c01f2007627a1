package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/health/interpret"
	"github.com/slipway-dev/slipway/internal/source"
)

// The folders of a package.
const (
	manifestsDir    = "manifests"
	definitionsDir  = "crds"
	chartDir        = "chart"
	interpretersDir = "interpreters"
)

// parts are all that belongs to a package. Nothing else in its folder is packed.
func parts() []string {
	return []string{ManifestFile, manifestsDir, definitionsDir, chartDir, interpretersDir, "README.md", "LICENSE", "NOTICE"}
}

// Package is one version of a package, bound to its bytes. It is safe for concurrent use, for as long as the store keeps its files.
type Package struct {
	// Manifest is its package.yaml. A bare chart and bare manifests have none: theirs says what is known, name and version at least.
	Manifest Manifest
	// URL says where it was taken from, for people.
	URL string
	// Digest of it: of the artifact in a registry, else of its files.
	Digest v1alpha1.Digest
	// SignedBy says whose signature was verified; empty where none was asked for.
	SignedBy string
	// Published is when, as the source or the manifest says; zero where neither does.
	Published time.Time
	// Interpreters that it brings, by name.
	Interpreters []Interpreter

	files fs.FS
	store *source.Store
	// chart is the folder of a Helm chart in files; empty for none.
	chart string
}

// Interpreter is one that a package brings.
type Interpreter struct {
	// Name of the Interpreter.
	Name string
	// Definition is its spec. Its priority is that of packages.
	Definition interpret.Definition
}

// What a package may have, unpacked.
const (
	maxFiles        = 5000
	maxBytes        = 64 << 20
	maxInterpreters = 64
)

// Open reads the package whose package.yaml is in the root of files. Charts that are packed inside of charts are unpacked through the
// store. What isn't right is an *[Invalid].
func Open(ctx context.Context, store *source.Store, files fs.FS) (*Package, error) {
	if err := survey(ctx, files); err != nil {
		return nil, err
	}
	text, err := fs.ReadFile(files, ManifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid(ManifestFile, "", "it isn't there, so this is no package: 'slipway package init' writes one")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ManifestFile, err)
	}
	m, err := ParseManifest(text)
	if err != nil {
		return nil, err
	}
	p := &Package{Manifest: m, files: files, store: store}
	if m.Published != nil {
		p.Published = m.Published.Time
	}
	if isFolder(files, chartDir) {
		p.chart = chartDir
	}
	if p.chart == "" && !isFolder(files, manifestsDir) && !isFolder(files, definitionsDir) {
		return nil, invalid("", "", "the package is empty: it has none of the folders %s, %s and %s", manifestsDir, definitionsDir, chartDir)
	}
	if p.Interpreters, err = readInterpreters(files); err != nil {
		return nil, err
	}
	return p, nil
}

func isFolder(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.IsDir()
}

// survey refuses trees that are too large, and links: what they lead to differs with where the package lies.
func survey(ctx context.Context, files fs.FS) error {
	count, total := 0, int64(0)
	for _, part := range parts() {
		if info, err := fs.Lstat(files, part); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			return notAFile(part)
		}
		err := fs.WalkDir(files, part, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				if name == part && errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return err
			}
			if ctx.Err() != nil {
				return &Unavailable{Err: ctx.Err()}
			}
			if d.IsDir() {
				return nil
			}
			if !d.Type().IsRegular() {
				return notAFile(name)
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if count++; count > maxFiles {
				return invalid("", "", "it has more than %d files", maxFiles)
			}
			if total += info.Size(); total > maxBytes {
				return invalid("", "", "its files have more than %d bytes", int64(maxBytes))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func notAFile(name string) error {
	return invalid(name, "", "it is a link or something else that is no file: put the file itself there")
}

// readInterpreters reads the folder of Interpreters, each in a file of its own.
func readInterpreters(files fs.FS) ([]Interpreter, error) {
	entries, err := fs.ReadDir(files, interpretersDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", interpretersDir, err)
	}
	var all []Interpreter
	for _, e := range entries {
		file := path.Join(interpretersDir, e.Name())
		if e.IsDir() || !isYAML(file) {
			return nil, invalid(file, "", "only YAML files with an Interpreter each belong here")
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		name, d, err := interpret.Read(text)
		if err != nil {
			return nil, invalid(file, "", "%v", err)
		}
		if d.Priority != nil && *d.Priority != interpret.PriorityPackage {
			return nil, invalid(file, "spec.priority", "those of packages have %d: remove it, so that those of the platform come first", interpret.PriorityPackage)
		}
		d.Priority = new(int32(interpret.PriorityPackage))
		if slices.ContainsFunc(all, func(i Interpreter) bool { return i.Name == name }) {
			return nil, invalid(file, "metadata.name", "another file has an Interpreter of the name %s, too", name)
		}
		if all = append(all, Interpreter{Name: name, Definition: d}); len(all) > maxInterpreters {
			return nil, invalid(interpretersDir, "", "there are more than %d", maxInterpreters)
		}
	}
	slices.SortFunc(all, func(a, b Interpreter) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}
