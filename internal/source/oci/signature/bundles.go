package signature

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

const (
	// bundleMediaType is the beginning of the media type of all versions of Sigstore's bundles.
	bundleMediaType = "application/vnd.dev.sigstore.bundle"
	// signPredicate is what a bundle says that 'cosign sign' made. Other statements are attestations: that somebody states something
	// of an artifact, a failed scan for instance, doesn't mean that they approve of it.
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
)

// bundles looks at the bundles that refer to the artifact.
func (c *cosign) bundles(ctx context.Context, reg Registry, artifact name.Digest, digest v1.Hash, seen *tally) (string, error) {
	index, err := remote.Referrers(artifact, remote.Reuse(reg.Puller), remote.WithContext(ctx))
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return "", err
	}
	for _, m := range list.Manifests {
		if !strings.HasPrefix(m.ArtifactType, bundleMediaType) || seen.full() {
			continue
		}
		raw, err := layerOf(ctx, reg, artifact.Context(), m.Digest, bundleMediaType)
		if err == nil {
			var signer string
			if signer, err = c.bundle(raw, digest); err == nil {
				return signer, nil
			}
		}
		if err := seen.note(err); err != nil {
			return "", err
		}
	}
	return "", nil
}

// layerOf reads the first layer of a manifest with a media type that begins so.
func layerOf(ctx context.Context, reg Registry, repo name.Repository, manifest v1.Hash, mediaType string) ([]byte, error) {
	desc, err := reg.Puller.Get(ctx, repo.Digest(manifest.String()))
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(desc.Manifest))
	if err != nil {
		return nil, untrusted("a signature's manifest can't be read")
	}
	for _, l := range m.Layers {
		if strings.HasPrefix(string(l.MediaType), mediaType) {
			return fetchBlob(ctx, reg, repo, l.Digest)
		}
	}
	return nil, untrusted("a signature's manifest has no layer of the type %s", mediaType)
}

// checkBundle has a bundle verified for an artifact, and sees to it that it is a signature.
func checkBundle(v *verify.Verifier, raw []byte, artifact v1.Hash, policies ...verify.PolicyOption) (result *verify.VerificationResult, err error) {
	defer recovered(&err)
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return nil, untrusted("a bundle can't be read: %w", err)
	}
	sum, err := hex.DecodeString(artifact.Hex)
	if err != nil {
		return nil, untrusted("%s is no digest", artifact)
	}
	result, err = v.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest(artifact.Algorithm, sum), policies...))
	if err != nil {
		return nil, &Untrusted{err}
	}
	if s := result.Statement; s != nil && s.GetPredicateType() != signPredicate {
		return nil, untrusted("a bundle is an attestation of the type %.100q, not a signature", s.GetPredicateType())
	}
	return result, nil
}

// recovered makes an error of a panic: what strangers sent must not take the agent down, whatever a parser thinks of it.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = untrusted("a signature can't be read")
	}
}
