package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// Repository is a place in a registry whose artifacts and images are copied bit for bit, out of it and into it. Errors are *[source.Error].
type Repository struct {
	fetch *fetch
	to    *remote.Pusher
	close func()
}

// OpenRepository finds the way to oci://HOST/PATH. Nothing is asked yet.
func OpenRepository(address string, auth Auth, insecure bool) (*Repository, error) {
	repo, err := parseURL(address, insecure)
	if err != nil {
		return nil, err
	}
	login, _ := auth.loginFor(repo)
	opts, base := registryOptions(auth, login, insecure)
	puller, err := remote.NewPuller(opts...)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", repo.RegistryStr(), err)
	}
	pusher, err := remote.NewPusher(opts...)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", repo.RegistryStr(), err)
	}
	f := &fetch{repo: repo, auth: auth, insecure: insecure, conn: &connection{puller: puller, base: base}}
	return &Repository{fetch: f, to: pusher, close: base.CloseIdleConnections}, nil
}

// ImageAddress is the oci:// address of the repository of an image, and what names the image there: a tag or a digest.
func ImageAddress(image string) (address, reference string, err error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", "", fmt.Errorf("%.200q is no image: %w", image, source.Quote(err))
	}
	return "oci://" + ref.Context().Name(), ref.Identifier(), nil
}

// Close gives up the connections.
func (r *Repository) Close() { r.close() }

// Resolve asks what a tag or a digest points at.
func (r *Repository) Resolve(ctx context.Context, reference string) (v1.Descriptor, error) {
	desc, err := r.get(ctx, reference)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return desc.Descriptor, nil
}

// Manifest reads the manifest, or the index, with a digest.
func (r *Repository) Manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	desc, err := r.get(ctx, digest.String())
	if err != nil {
		return nil, err
	}
	return desc.Manifest, nil
}

func (r *Repository) get(ctx context.Context, reference string) (*remote.Descriptor, error) {
	var (
		ref name.Reference = r.fetch.repo.Tag(reference)
		f                  = *r.fetch
	)
	f.ref.Tag = reference
	if strings.Contains(reference, ":") {
		ref = r.fetch.repo.Digest(reference)
	}
	desc, err := r.fetch.conn.puller.Get(ctx, ref)
	if err != nil {
		return nil, f.classify(err, ReasonPull, "find "+reference+" in")
	}
	return desc, nil
}

// Blob reads a blob. Its reader fails at the end if the content doesn't have the digest.
func (r *Repository) Blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	layer, err := r.fetch.conn.puller.Layer(blobContext(ctx), r.fetch.repo.Digest(digest.String()))
	if err != nil {
		return nil, r.fetch.classify(err, ReasonPull, "pull from")
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, r.fetch.classify(err, ReasonPull, "pull from")
	}
	return content, nil
}

// maxReferrers bounds what is taken along of what refers to one artifact: a registry that others may push to could hold any number.
const maxReferrers = 50

// Signatures lists the manifests that say something of an artifact: under the tag that Cosign gives to signatures, with that tag, and those
// that refer to it, without one.
func (r *Repository) Signatures(ctx context.Context, digest v1.Hash) ([]Tagged, error) {
	var all []Tagged
	tag := digest.Algorithm + "-" + digest.Hex + ".sig"
	switch desc, err := r.fetch.conn.puller.Get(ctx, r.fetch.repo.Tag(tag)); {
	case err == nil:
		all = append(all, Tagged{Descriptor: desc.Descriptor, Tag: tag})
	case !isStatus(err, http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden):
		return nil, r.fetch.classify(err, ReasonPull, "look for signatures in")
	}
	index, err := remote.Referrers(r.fetch.repo.Digest(digest.String()), remote.Reuse(r.fetch.conn.puller), remote.WithContext(ctx))
	if isStatus(err, http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusBadRequest) {
		return all, nil
	}
	if err != nil {
		return nil, r.fetch.classify(err, ReasonPull, "look for signatures in")
	}
	list, err := index.IndexManifest()
	if err != nil {
		return nil, r.fetch.classify(err, ReasonPull, "look for signatures in")
	}
	for _, m := range list.Manifests[:min(len(list.Manifests), maxReferrers)] {
		all = append(all, Tagged{Descriptor: v1.Descriptor{MediaType: m.MediaType, Size: m.Size, Digest: m.Digest}})
	}
	return all, nil
}

// Tagged is a manifest, and the tag that it is under.
type Tagged struct {
	v1.Descriptor

	// Tag is empty for what is found by its digest.
	Tag string
}

// Push puts an image, an index or an artifact into the repository, under a tag or, without one, under its digest.
func (r *Repository) Push(ctx context.Context, tag string, artifact remote.Taggable) error {
	var ref name.Reference = r.fetch.repo.Tag(tag)
	if tag == "" {
		digested, ok := artifact.(interface{ Digest() (v1.Hash, error) })
		if !ok {
			return errors.New("what has no tag must have a digest")
		}
		digest, err := digested.Digest()
		if err != nil {
			return fmt.Errorf("take digest: %w", err)
		}
		ref = r.fetch.repo.Digest(digest.String())
	}
	if err := r.to.Push(ctx, ref, artifact); err != nil {
		return r.fetch.classify(err, ReasonPull, "push to")
	}
	return nil
}

// CheckSignature has a verifier look at the signatures of an artifact, without fetching it. It gives who signed. Errors are
// *[source.Error]; that nobody trusted has signed is one with the reason [ReasonVerification].
func CheckSignature(ctx context.Context, address, digest string, auth Auth, insecure bool, by signature.Verifier) (string, error) {
	r, err := OpenRepository(address, auth, insecure)
	if err != nil {
		return "", err
	}
	defer r.Close()
	hash, err := v1.NewHash(digest)
	if err != nil {
		return "", fmt.Errorf("digest %q: %w", digest, source.Quote(err))
	}
	f := r.fetch
	f.Client, f.verify = NewClient(nil), by
	found, err := f.verified(ctx, target{digest: hash})
	return found.Signer, err
}
