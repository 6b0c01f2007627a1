package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

// ErrNoImage says that a registry was asked for an image, and says that it doesn't have it.
var ErrNoImage = errors.New("the registry doesn't have the image")

// Platforms returns what an image of containers is for, as linux/amd64, sorted; none: it doesn't say. The name is one as pods have it: without
// a host it is of Docker Hub. A registry that says that there is no such image is ErrNoImage; any other error is a *[source.Error].
//
// That costs one HEAD request; for a digest that wasn't asked for before, one or two more. Docker Hub counts those, but not the first one.
func (c *Client) Platforms(ctx context.Context, image string, auth Auth, insecure bool) ([]string, error) {
	var opts []name.Option
	if insecure {
		opts = append(opts, name.Insecure)
	}
	ref, err := name.ParseReference(image, opts...)
	if err != nil {
		return nil, failf(source.ReasonReferenceInvalid, "it is no name of an image: %w", source.Quote(err))
	}
	f := &fetch{Client: c, repo: ref.Context(), auth: auth, insecure: insecure}
	if f.conn, err = c.connections.to(f.repo, auth, insecure); err != nil {
		return nil, f.classify(err, ReasonPull, "reach")
	}
	digest, err := f.head(ctx, ref)
	if isStatus(err, http.StatusNotFound) {
		return nil, fmt.Errorf("%s: %w", ref, ErrNoImage)
	}
	if err != nil {
		return nil, f.classify(err, ReasonPull, "find "+ref.Identifier()+" in")
	}
	key := f.place() + "\x00" + auth.id + "\x00" + digest.String()
	if known, ok := c.runsOn.get(key); ok {
		return known, nil
	}
	platforms, err := f.platforms(ctx, digest)
	if err != nil {
		return nil, f.classify(err, ReasonPull, "read "+ref.Identifier()+" in")
	}
	c.runsOn.put(key, platforms)
	return platforms, nil
}

// platforms reads an index, or the configuration of a single image.
func (f *fetch) platforms(ctx context.Context, digest v1.Hash) ([]string, error) {
	desc, err := f.conn.puller.Get(ctx, f.at(digest))
	if err != nil {
		return nil, err
	}
	var out []string
	add := func(os, architecture string) {
		if os != "" && os != "unknown" && architecture != "" && architecture != "unknown" { // attestations have "unknown"
			out = append(out, os+"/"+architecture)
		}
	}
	if desc.MediaType.IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(desc.Manifest))
		if err != nil {
			return nil, err
		}
		for _, m := range index.Manifests {
			if m.Platform != nil {
				add(m.Platform.OS, m.Platform.Architecture)
			}
		}
	} else {
		image, err := desc.Image()
		if err != nil {
			return nil, err
		}
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		add(config.OS, config.Architecture)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
