package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
)

// publicKey is one key of the Secret.
type publicKey struct {
	name     string
	verifier sigstore.Verifier
	bundles  *verify.Verifier
}

// keys judges by public keys.
type keys []publicKey

// CosignKeys trusts the public keys in a Secret: the values whose names end in .pub, in PEM. One of them is enough. The
// transparency log is not asked: who has the key is trusted, whenever it was used.
func CosignKeys(data map[string][]byte) (Verifier, error) {
	var (
		all   keys
		parts [][]byte
	)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if !strings.HasSuffix(name, ".pub") {
			continue
		}
		key, err := parseKey(name, data[name])
		if err != nil {
			return nil, err
		}
		all = append(all, key)
		parts = append(parts, data[name])
	}
	if len(all) == 0 {
		return nil, misconfigured("the Secret that spec.verify.secretRef names has no public key: put the content of cosign.pub under a name that ends in .pub")
	}
	return &cosign{judge: all, id: newID("cosign key", parts...)}, nil
}

func parseKey(name string, text []byte) (publicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || !strings.HasSuffix(block.Type, "PUBLIC KEY") {
		return publicKey{}, misconfigured("%s in the Secret that spec.verify.secretRef names is no public key in PEM form", name)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if err != nil {
		return publicKey{}, misconfigured("%s in the Secret that spec.verify.secretRef names is no public key that can be read", name)
	}
	if err := strong(parsed); err != nil {
		return publicKey{}, misconfigured("%s in the Secret that spec.verify.secretRef names: %w", name, err)
	}
	verifier, err := sigstore.LoadVerifier(parsed, crypto.SHA256)
	if err != nil {
		return publicKey{}, misconfigured("%s in the Secret that spec.verify.secretRef names: %w", name, err)
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	})
	bundles, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
	if err != nil {
		return publicKey{}, fmt.Errorf("use the key %s: %w", name, err)
	}
	return publicKey{name: name, verifier: verifier, bundles: bundles}, nil
}

// minRSA is the size in bits below which a key proves nothing nowadays.
const minRSA = 2048

func strong(key any) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return nil
		}
		return fmt.Errorf("an RSA key of %d bits is too short: use %d at least", k.N.BitLen(), minRSA)
	}
	return errors.New("use a key of the kind ECDSA, Ed25519 or RSA, as 'cosign generate-key-pair' makes it")
}

func (k keys) simple(s simpleSignature) (string, error) {
	for _, key := range k {
		if key.verifier.VerifySignature(bytes.NewReader(s.signature), bytes.NewReader(s.payload)) == nil {
			return key.name, nil
		}
	}
	return "", untrusted("a signature is by none of the keys in the Secret")
}

func (k keys) bundle(raw []byte, artifact v1.Hash) (string, error) {
	var last error
	for _, key := range k {
		if _, last = checkBundle(key.bundles, raw, artifact, verify.WithKey()); last == nil {
			return key.name, nil
		}
	}
	return "", untrusted("a bundle is by none of the keys in the Secret: %w", last)
}
