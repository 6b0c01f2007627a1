package bundle

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Artifact is an image, an index or another manifest that can be pushed: of a bundle, or of any other [Source].
func Artifact(ctx context.Context, from Source, desc v1.Descriptor) (remote.Taggable, error) {
	raw, err := from.Manifest(ctx, desc.Digest)
	if err != nil {
		return nil, err
	}
	s := &stored{ctx: ctx, from: from, desc: desc, raw: raw}
	if desc.MediaType.IsIndex() {
		return &index{s}, nil
	}
	return s.image()
}

// stored is a manifest and where its blobs are.
type stored struct {
	ctx  context.Context //nolint:containedctx // The library's interfaces have none; this is the life of one push.
	from Source
	desc v1.Descriptor
	raw  []byte
}

func (s *stored) image() (v1.Image, error) {
	manifest, err := v1.ParseManifest(reader(s.raw))
	if err != nil {
		return nil, fmt.Errorf("%w: %s can't be read as a manifest", ErrDamaged, s.desc.Digest)
	}
	return partial.CompressedToImage(&core{stored: s, manifest: manifest})
}

// MediaType of the manifest.
func (s *stored) MediaType() (types.MediaType, error) { return s.desc.MediaType, nil }

// RawManifest is the manifest, bit for bit.
func (s *stored) RawManifest() ([]byte, error) { return s.raw, nil }

// Digest of the manifest.
func (s *stored) Digest() (v1.Hash, error) { return s.desc.Digest, nil }

// Size of the manifest in bytes.
func (s *stored) Size() (int64, error) { return int64(len(s.raw)), nil }

// core is what an image is made of.
type core struct {
	*stored

	manifest *v1.Manifest
}

// RawConfigFile is the image's configuration.
func (c *core) RawConfigFile() ([]byte, error) {
	content, err := c.from.Blob(c.ctx, c.manifest.Config.Digest)
	if err != nil {
		return nil, err
	}
	return readAll(content)
}

// LayerByDigest finds a layer, or the configuration.
func (c *core) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range append([]v1.Descriptor{c.manifest.Config}, c.manifest.Layers...) {
		if l.Digest == digest {
			return &layer{c.stored, l}, nil
		}
	}
	return nil, fmt.Errorf("%w: %s isn't a layer of %s", ErrDamaged, digest, c.desc.Digest)
}

// layer is one blob.
type layer struct {
	*stored

	of v1.Descriptor
}

// Digest of the blob.
func (l *layer) Digest() (v1.Hash, error) { return l.of.Digest, nil }

// Size of the blob in bytes.
func (l *layer) Size() (int64, error) { return l.of.Size, nil }

// MediaType of the blob.
func (l *layer) MediaType() (types.MediaType, error) { return l.of.MediaType, nil }

// Compressed is the blob as it is.
func (l *layer) Compressed() (io.ReadCloser, error) { return l.from.Blob(l.ctx, l.of.Digest) }

// index is a manifest that lists others.
type index struct{ *stored }

// IndexManifest is the list.
func (i *index) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(reader(i.raw))
}

// Image finds one of the list.
func (i *index) Image(digest v1.Hash) (v1.Image, error) {
	s, err := i.child(digest)
	if err != nil {
		return nil, err
	}
	return s.image()
}

// ImageIndex finds one of the list that is a list itself.
func (i *index) ImageIndex(digest v1.Hash) (v1.ImageIndex, error) {
	s, err := i.child(digest)
	if err != nil {
		return nil, err
	}
	return &index{s}, nil
}

func (i *index) child(digest v1.Hash) (*stored, error) {
	list, err := i.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, m := range list.Manifests {
		if m.Digest == digest {
			raw, err := i.from.Manifest(i.ctx, digest)
			return &stored{ctx: i.ctx, from: i.from, desc: m, raw: raw}, err
		}
	}
	return nil, fmt.Errorf("%w: %s isn't in the list %s", ErrDamaged, digest, i.desc.Digest)
}

var _ v1.ImageIndex = (*index)(nil)
