package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/slipway-dev/slipway/internal/source"
)

const (
	// maxAnnotations bounds a manifest's annotations, in bytes: they become part of the object's status.
	maxAnnotations = 64 << 10
	// maxLayers bounds the layers that one is selected from.
	maxLayers = 1000
)

// pull brings what the target's manifest names.
func (f *fetch) pull(ctx context.Context, t target) (*Result, error) {
	m, err := f.manifest(ctx, t.digest)
	if err != nil {
		return nil, err
	}
	desc, err := selectLayer(m, f.layer.MediaType)
	if err != nil {
		return nil, err
	}
	a := artifact{metadata: m.Annotations}
	if f.copies() {
		a.layer = desc.Digest.String()
	}
	r, ok := f.stored(t, a)
	if !ok {
		if err := f.bring(ctx, t, desc); err != nil {
			return nil, f.classify(layerError(err), ReasonPull, "pull from")
		}
		if r, ok = f.stored(t, a); !ok {
			return nil, failf(source.ReasonStorageOperationFailed, "what was just stored is gone again: %w", source.ErrDamaged)
		}
	}
	f.pulled.put(f.key(t), a)
	return r, nil
}

// manifest reads the manifest with a digest. Of an index, it is that of linux/amd64, as with Flux.
func (f *fetch) manifest(ctx context.Context, digest v1.Hash) (*v1.Manifest, error) {
	desc, err := f.conn.puller.Get(ctx, f.at(digest))
	if err != nil {
		return nil, f.classify(err, ReasonPull, "pull from")
	}
	if desc.MediaType.IsIndex() {
		child, err := platformOf(desc.Manifest)
		if err != nil {
			return nil, err
		}
		if desc, err = f.conn.puller.Get(ctx, f.at(child)); err != nil {
			return nil, f.classify(err, ReasonPull, "pull from")
		}
	}
	return parseManifest(desc.Manifest)
}

func (f *fetch) at(digest v1.Hash) name.Digest { return f.repo.Digest(digest.String()) }

// platformOf selects from an index.
func platformOf(raw []byte) (v1.Hash, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return v1.Hash{}, failf(ReasonLayer, "the artifact's index can't be read: %w: push it again", source.Quote(err))
	}
	for _, m := range index.Manifests {
		if !m.MediaType.IsIndex() && (m.Platform == nil || m.Platform.OS == "linux" && m.Platform.Architecture == "amd64") {
			return m.Digest, nil
		}
	}
	return v1.Hash{}, failf(ReasonLayer, "the artifact is an index without one for linux/amd64: name one of its manifests in spec.ref.digest")
}

// parseManifest reads a manifest and refuses what can't become part of a status.
func parseManifest(raw []byte) (*v1.Manifest, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, failf(ReasonLayer, "the artifact's manifest can't be read: %w: push it again", source.Quote(err))
	}
	if m.MediaType == types.DockerManifestSchema1 || m.MediaType == types.DockerManifestSchema1Signed || m.SchemaVersion == 1 {
		return nil, failf(ReasonLayer, "the artifact has a manifest of Docker's first schema: push it again with a client of this decade")
	}
	size := 0
	for key, value := range m.Annotations {
		size += len(key) + len(value)
	}
	if size > maxAnnotations {
		return nil, &source.Error{Reason: source.ReasonLimitExceeded, Err: &source.LimitError{
			Limit: "annotations", Value: maxAnnotations, Got: int64(size), What: "the sum of the manifest's annotations", Advice: "push the artifact with fewer of them",
		}}
	}
	return m, nil
}

// selectLayer returns the first layer, or the first one of a media type.
func selectLayer(m *v1.Manifest, mediaType string) (v1.Descriptor, error) {
	if n := len(m.Layers); n == 0 || n > maxLayers {
		return v1.Descriptor{}, failf(ReasonLayer, "the artifact has %d layers, not 1 to %d: check that spec.url names an artifact, and how it was pushed", n, maxLayers)
	}
	if mediaType == "" {
		return checkLayer(m.Layers[0])
	}
	var there []string
	for _, l := range m.Layers {
		if string(l.MediaType) == mediaType {
			return checkLayer(l)
		}
		if len(there) < 5 {
			there = append(there, fmt.Sprintf("%.100q", string(l.MediaType)))
		}
	}
	return v1.Descriptor{}, failf(ReasonLayer, "the artifact has no layer of the type %s, which spec.layerSelector.mediaType asks for; the first ones are %s", mediaType, there)
}

func checkLayer(l v1.Descriptor) (v1.Descriptor, error) {
	if l.Digest.Algorithm == "" || l.Digest.Hex == "" {
		return l, failf(ReasonLayer, "the artifact's layer has no digest: push it again")
	}
	return l, nil
}

// bring pulls a layer into the store. Only the registry itself is asked for it, never an address that the manifest names.
func (f *fetch) bring(ctx context.Context, t target, desc v1.Descriptor) error {
	layer, err := f.conn.puller.Layer(blobContext(ctx), f.at(desc.Digest))
	if err != nil {
		return err
	}
	content, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer content.Close()
	// Of a server that sends more than its manifest says no more is taken than shows that.
	d, err := f.store.Receive(ctx, io.LimitReader(content, desc.Size+1), desc.Digest.String(), f.limits)
	if err != nil {
		return err
	}
	defer d.Discard()
	snap, err := d.Unpack(ctx, source.UnpackOptions{Revision: t.revision(), Ignore: f.ignore, KeepAll: f.copies(), Strict: true})
	if err != nil {
		return err
	}
	if f.copies() {
		if snap, err = d.Keep(ctx, snap); err != nil {
			return err
		}
	}
	return f.store.Remember(f.key(t), snap)
}
