package signature

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What Cosign writes into the manifest under the tag sha256-<hex>.sig, one layer per signature.
const (
	simpleMediaType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotationSig     = "dev.cosignproject.cosign/signature"
	annotationCert    = "dev.sigstore.cosign/certificate"
	annotationBundle  = "dev.sigstore.cosign/bundle"
	payloadType       = "cosign container image signature"
	olderPayloadType  = "atomic container signature" // the format's first name, of other signers
	signatureTagTwist = ".sig"
)

// simpleSignature is one signature of the "simple signing" format.
type simpleSignature struct {
	payload   []byte
	signature []byte
	// certificate (PEM) and proof are there when it was signed without a key: the signer's short-lived certificate, and the
	// transparency log's word for when that was.
	certificate, proof []byte
}

// simples looks at the signatures under the tag.
func (c *cosign) simples(ctx context.Context, reg Registry, artifact name.Digest, digest v1.Hash, seen *tally) (string, error) {
	tag := artifact.Context().Tag(digest.Algorithm + "-" + digest.Hex + signatureTagTwist)
	desc, err := reg.Puller.Get(ctx, tag)
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	m, err := v1.ParseManifest(strings.NewReader(string(desc.Manifest)))
	if err != nil {
		seen.bad(untrusted("the manifest under the tag %s can't be read", tag.TagStr()))
		return "", nil //nolint:nilerr // It is noted.
	}
	for _, l := range m.Layers {
		if string(l.MediaType) != simpleMediaType || seen.full() {
			continue
		}
		signer, err := c.simpleLayer(ctx, reg, artifact, l)
		if err == nil {
			return signer, nil
		}
		if err := seen.note(err); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (c *cosign) simpleLayer(ctx context.Context, reg Registry, artifact name.Digest, l v1.Descriptor) (string, error) {
	payload, err := fetchBlob(ctx, reg, artifact.Context(), l.Digest)
	if err != nil {
		return "", err
	}
	s, err := readSimple(payload, l.Annotations, artifact.DigestStr())
	if err != nil {
		return "", err
	}
	return c.simple(s)
}

// readSimple reads a signature and checks that it is about the artifact. Whether it is a trusted one is for a judge to say.
func readSimple(payload []byte, annotations map[string]string, artifact string) (simpleSignature, error) {
	sig, err := base64.StdEncoding.DecodeString(annotations[annotationSig])
	if err != nil || len(sig) == 0 {
		return simpleSignature{}, untrusted("a layer has no signature under the annotation %s", annotationSig)
	}
	var content struct {
		Critical struct {
			Type  string `json:"type"`
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &content); err != nil {
		return simpleSignature{}, untrusted("a signature's payload is not JSON")
	}
	if kind := content.Critical.Type; kind != payloadType && kind != olderPayloadType {
		return simpleSignature{}, untrusted("a signature is of the type %.60q", kind)
	}
	if content.Critical.Image.Digest != artifact {
		return simpleSignature{}, untrusted("a signature is for another artifact, %.80q", content.Critical.Image.Digest)
	}
	return simpleSignature{
		payload: payload, signature: sig,
		certificate: []byte(annotations[annotationCert]), proof: []byte(annotations[annotationBundle]),
	}, nil
}
