package pack

import (
	"context"
	"io/fs"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// Annotations of the artifact of a package, beside the time of its publication.
const (
	AnnotationTitle       = "org.opencontainers.image.title"
	AnnotationVersion     = "org.opencontainers.image.version"
	AnnotationDescription = "org.opencontainers.image.description"
	// AnnotationPackage is there on every package, and says the apiVersion of its package.yaml.
	AnnotationPackage = "dev.slipway.package"
)

// Build reads a package and makes an artifact of it. The same files make the same bytes, wherever and whenever: what isn't part of a
// package isn't in it, nor are times and owners. Flux's tools can pull it, too.
func Build(ctx context.Context, store *source.Store, files fs.FS) (v1.Image, *Package, error) {
	p, err := Open(ctx, store, files)
	if err != nil {
		return nil, nil, err
	}
	m := p.Manifest
	contents := oci.Contents{
		Files: partsOf{files}, Ignore: new("/.git/"), Created: p.Published,
		Annotations: map[string]string{AnnotationPackage: m.APIVersion, AnnotationTitle: m.Name, AnnotationVersion: m.Version},
	}
	if m.Description != "" {
		contents.Annotations[AnnotationDescription] = m.Description
	}
	image, err := oci.Pack(contents)
	if err != nil {
		return nil, nil, err
	}
	return image, p, nil
}

// partsOf are the files of a folder that belong to a package.
type partsOf struct{ fs.FS }

// ReadDir lists a folder; of the root only what is part of a package.
func (p partsOf) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(p.FS, name)
	if name != "." {
		return all, err
	}
	known := parts()
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool { return !slices.Contains(known, e.Name()) }), err
}

// Strangers are the files and folders beside a package.yaml that aren't part of a package, and so aren't packed.
func Strangers(files fs.FS) ([]string, error) {
	all, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	known := parts()
	var names []string
	for _, e := range all {
		if !slices.Contains(known, e.Name()) && e.Name() != ".git" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
