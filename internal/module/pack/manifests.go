package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/kube"
)

// maxManifestFile is the size of the largest file of manifests that is read, in bytes: as in package build.
const maxManifestFile = 8 << 20

// manifests gives the objects of a folder of plain manifests, or of a Kustomize folder.
func (p *Package) manifests(ctx context.Context, dir string, values Values) ([]*unstructured.Unstructured, error) {
	files, plain, err := plainFiles(p.files, dir)
	if err != nil {
		return nil, err
	}
	substitute := p.Manifest.Substitute && dir == manifestsDir
	if plain && !substitute {
		return p.plain(ctx, files)
	}
	in := build.Input{Tree: build.TreeOf(p.files), Path: dir}
	if substitute {
		vars, err := variables(values)
		if err != nil {
			return nil, err
		}
		in.Vars = vars
		in.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: maps.Clone(vars)}
	}
	result, err := build.New().Build(ctx, in)
	if err != nil {
		return nil, err
	}
	return result.Objects, nil
}

// plainFiles lists the manifests below a folder, sorted; it is false where Kustomize has a say in any part of it.
func plainFiles(files fs.FS, dir string) (names []string, plain bool, err error) {
	plain = true
	err = fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(name)):
			plain = false
			return fs.SkipAll
		case isYAML(name):
			names = append(names, name)
		}
		return nil
	})
	return names, plain, err
}

// plain reads manifests without Kustomize, which takes ten times as long, and would change nothing.
func (p *Package) plain(ctx context.Context, names []string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		content, err := fs.ReadFile(p.files, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if len(content) > maxManifestFile {
			return nil, invalid(name, "", "it has %d bytes; %d are the limit: split it", len(content), maxManifestFile)
		}
		found, err := parseObjects(string(content), strictly)
		if err != nil {
			return nil, invalid(name, "", "%v", err)
		}
		for _, o := range found {
			if err := unencrypted(o); err != nil {
				return nil, invalid(name, "", "%s %v", kube.RefOf(o).Subject(), err)
			}
		}
		if all = append(all, found...); len(all) > maxObjects {
			return nil, invalid("", "", "the package has more than %d objects", maxObjects)
		}
	}
	return all, nil
}

// unencrypted refuses what SOPS has encrypted: nobody has the key to a package.
func unencrypted(o *unstructured.Unstructured) error {
	if mac, found, err := unstructured.NestedString(o.Object, "sops", "mac"); err == nil && found && mac != "" {
		return errors.New("is encrypted with SOPS: take the value as a setting instead, which Modules can have from a Secret")
	}
	return nil
}
