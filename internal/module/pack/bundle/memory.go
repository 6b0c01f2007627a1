package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
)

// Of is an image that was just made as a [Source], and what describes it.
func Of(image v1.Image) (Source, v1.Descriptor, error) {
	desc, err := partial.Descriptor(image)
	if err != nil {
		return nil, v1.Descriptor{}, fmt.Errorf("describe the artifact: %w", err)
	}
	return made{image}, *desc, nil
}

type made struct{ image v1.Image }

// Manifest is the image's.
func (m made) Manifest(context.Context, v1.Hash) ([]byte, error) { return m.image.RawManifest() }

// Blob is a layer of the image, or its configuration.
func (m made) Blob(_ context.Context, digest v1.Hash) (io.ReadCloser, error) {
	if config, err := m.image.ConfigName(); err == nil && config == digest {
		raw, err := m.image.RawConfigFile()
		return io.NopCloser(bytes.NewReader(raw)), err
	}
	layer, err := m.image.LayerByDigest(digest)
	if err != nil {
		return nil, err
	}
	return layer.Compressed()
}

func reader(raw []byte) io.Reader { return bytes.NewReader(raw) }
