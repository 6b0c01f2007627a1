// Package cosign signs artifacts in a registry as 'cosign sign --key' does, for tests: no cosign has to be installed.
package cosign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// Signer is a pair of keys, as 'cosign generate-key-pair' makes it.
type Signer struct {
	key *ecdsa.PrivateKey
	// Public is the content of cosign.pub.
	Public []byte
}

// NewSigner makes a pair of keys.
func NewSigner() (*Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("write a public key: %w", err)
	}
	return &Signer{key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
}

// Sign signs an artifact, HOST/REPOSITORY@DIGEST, in its registry, which may answer without TLS and wants no login.
func (s *Signer) Sign(artifact string) error {
	of, err := name.NewDigest(artifact, name.Insecure)
	if err != nil {
		return fmt.Errorf("sign %s: %w", artifact, err)
	}
	text, err := payload.Cosign{Image: of}.MarshalJSON()
	if err != nil {
		return fmt.Errorf("sign %s: %w", artifact, err)
	}
	by, err := sigstore.LoadECDSASigner(s.key, crypto.SHA256)
	if err != nil {
		return fmt.Errorf("sign %s: %w", artifact, err)
	}
	signature, err := by.SignMessage(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("sign %s: %w", artifact, err)
	}
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer(text, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)},
	})
	if err != nil {
		return fmt.Errorf("sign %s: %w", artifact, err)
	}
	if err := remote.Write(of.Tag(strings.Replace(of.DigestStr(), ":", "-", 1)+".sig"), image); err != nil {
		return fmt.Errorf("push the signature of %s: %w", artifact, err)
	}
	return nil
}
