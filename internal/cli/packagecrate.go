package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	packages "github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/pack/bundle"
	treestore "github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// crate is a package as it is carried: its manifest, and the artifact that it is in.
type crate struct {
	Manifest packages.Manifest

	from bundle.Source
	desc v1.Descriptor
}

func (c *crate) name() string { return c.Manifest.Name + ":" + packages.Tag(c.Manifest.Version) }

// open unpacks the package.
func (c *crate) open(ctx context.Context, shop *workshop) (*packages.Package, error) {
	raw, err := c.from.Manifest(ctx, c.desc.Digest)
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil || len(m.Layers) == 0 {
		return nil, fmt.Errorf("%s is no package: it has no layer", c.desc.Digest)
	}
	content, err := c.from.Blob(ctx, m.Layers[0].Digest)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	files, err := shop.unpack(ctx, content)
	if err != nil {
		return nil, err
	}
	p, err := packages.Open(ctx, shop.store, files)
	if err != nil {
		return nil, err
	}
	p.Digest = v1alpha1.Digest(c.desc.Digest.String())
	c.Manifest = p.Manifest
	return p, nil
}

func (w *workshop) unpack(ctx context.Context, content io.Reader) (fs.FS, error) {
	received, err := w.store.Receive(ctx, content, "", treestore.Limits{})
	if err != nil {
		return nil, err
	}
	defer received.Discard()
	snap, err := received.Unpack(ctx, treestore.UnpackOptions{KeepAll: true, Strict: true})
	if err != nil {
		return nil, err
	}
	return snap.FS(), nil
}

// found is a package that a command was pointed at, with what must be closed.
type found struct {
	*crate

	pkg *packages.Package
	// repository that it is in; nil where it isn't in a registry.
	repository *oci.Repository
	close      func()
}

// find opens what a command was pointed at: a folder, a file of 'slipway package build', or oci://HOST/PATH:VERSION.
func (w *workshop) find(ctx context.Context, what string, registry registryFlags) (*found, error) {
	if strings.HasPrefix(what, "oci://") {
		return w.pull(ctx, what, registry)
	}
	info, err := os.Stat(what)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		made, err := w.build(ctx, what)
		if err != nil {
			return nil, err
		}
		return w.opened(ctx, &found{crate: made, close: func() {}})
	}
	opened, done, err := openBundle(what)
	if err != nil {
		return nil, err
	}
	listed := itemsOf(opened, bundle.KindPackage)
	if len(listed) != 1 {
		done()
		return nil, fmt.Errorf("%s has %d packages, not one: push it with --bundle", what, len(listed))
	}
	return w.opened(ctx, &found{crate: &crate{from: opened, desc: listed[0].Descriptor}, close: done})
}

func (w *workshop) pull(ctx context.Context, what string, registry registryFlags) (*found, error) {
	at, err := oci.ParseLocation(what)
	if err != nil {
		return nil, usageError{err}
	}
	repository, err := registry.repository(at.URL)
	if err != nil {
		return nil, err
	}
	desc, err := repository.Resolve(ctx, at.Tag+at.Digest) // one of them is empty
	if err != nil {
		repository.Close()
		return nil, registryError(err)
	}
	return w.opened(ctx, &found{crate: &crate{from: repository, desc: desc}, repository: repository, close: repository.Close})
}

func (w *workshop) opened(ctx context.Context, f *found) (*found, error) {
	p, err := f.open(ctx, w)
	if err != nil {
		f.close()
		return nil, registryError(err)
	}
	f.pkg = p
	return f, nil
}

// openBundle opens a file that 'slipway package build' or 'slipway package bundle' has written.
func openBundle(file string) (*bundle.Bundle, func(), error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var b *bundle.Bundle
		if b, err = bundle.Open(f, info.Size()); err == nil {
			return b, func() { _ = f.Close() }, nil // it was only read
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("open %s: %w", file, err), f.Close())
}

func itemsOf(b *bundle.Bundle, kind string) []bundle.Item {
	var all []bundle.Item
	for _, item := range b.Items() {
		if item.Kind == kind {
			all = append(all, item)
		}
	}
	return all
}
