package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Identity says who may sign without a key. Both are regular expressions (RE2) that must be found in the certificate's value;
// write ^ and $ for all of it.
type Identity struct{ Issuer, Subject string }

// keyless judges by the identity in a short-lived certificate, and by the transparency log's word that it was valid then.
type keyless struct {
	verifier   *verify.Verifier
	identities []verify.PolicyOption
}

// CosignKeyless trusts signers with one of the identities, as the authorities and logs of a trusted root vouch for them.
// trustedRoot is the content of Sigstore's trusted_root.json. The certificate must chain to one of its authorities, and a
// transparency log of it must have recorded the signature while the certificate was valid. If it names logs of certificates, the
// certificate must be in one.
func CosignKeyless(identities []Identity, trustedRoot []byte) (Verifier, error) {
	if len(identities) == 0 {
		return nil, misconfigured("name who may sign in spec.verify.matchOIDCIdentity, or a key in spec.verify.secretRef: without, everybody with an account would be trusted")
	}
	if len(trustedRoot) == 0 {
		return nil, misconfigured("name a Secret with Sigstore's trusted_root.json in spec.verify.trustedRootSecretRef: 'cosign trusted-root create' writes it, and for Sigstore's public instance it is in github.com/sigstore/root-signing")
	}
	trusted, err := readRoot(trustedRoot)
	if err != nil {
		return nil, err
	}
	if len(trusted.RekorLogs()) == 0 || len(trusted.FulcioCertificateAuthorities()) == 0 {
		return nil, misconfigured("trusted_root.json names no certificate authority, or no transparency log: both are needed")
	}
	opts := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(trusted.CTLogs()) > 0 {
		opts = append(opts, verify.WithSignedCertificateTimestamps(1))
	}
	k := &keyless{}
	if k.verifier, err = verify.NewVerifier(trusted, opts...); err != nil {
		return nil, misconfigured("trusted_root.json can't be used: %w", err)
	}
	parts := [][]byte{trustedRoot}
	for i, id := range identities {
		for _, expr := range []string{id.Issuer, id.Subject} {
			if _, err := regexp.Compile(expr); err != nil || expr == "" {
				return nil, misconfigured("spec.verify.matchOIDCIdentity[%d]: issuer and subject must both be regular expressions (RE2)", i)
			}
			parts = append(parts, []byte(expr))
		}
		match, err := verify.NewShortCertificateIdentity("", id.Issuer, "", id.Subject)
		if err != nil {
			return nil, misconfigured("spec.verify.matchOIDCIdentity[%d]: %w", i, err)
		}
		k.identities = append(k.identities, verify.WithCertificateIdentity(match))
	}
	return &cosign{judge: k, id: newID("cosign keyless", parts...)}, nil
}

func readRoot(raw []byte) (_ *root.TrustedRoot, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = misconfigured("trusted_root.json can't be read")
		}
	}()
	trusted, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return nil, misconfigured("trusted_root.json can't be read: %w", err)
	}
	return trusted, nil
}

func (k *keyless) bundle(raw []byte, artifact v1.Hash) (string, error) {
	result, err := checkBundle(k.verifier, raw, artifact, k.identities...)
	if err != nil {
		return "", err
	}
	return signerOf(result), nil
}

func (k *keyless) simple(s simpleSignature) (_ string, err error) {
	defer recovered(&err)
	b, err := s.toBundle()
	if err != nil {
		return "", err
	}
	result, err := k.verifier.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(s.payload)), k.identities...))
	if err != nil {
		return "", &Untrusted{err}
	}
	return signerOf(result), nil
}

func signerOf(result *verify.VerificationResult) string {
	if result.Signature == nil || result.Signature.Certificate == nil {
		return "unknown"
	}
	c := result.Signature.Certificate
	return fmt.Sprintf("%s (%s)", c.SubjectAlternativeName, c.Issuer)
}

// toBundle puts what Cosign wrote into annotations in the form of a bundle.
func (s simpleSignature) toBundle() (*bundle.Bundle, error) {
	block, _ := pem.Decode(s.certificate)
	if block == nil {
		return nil, untrusted("a signature has no certificate: it was made with a key, so name that in spec.verify.secretRef")
	}
	entry, err := logEntry(s.proof)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(s.payload)
	b, err := bundle.NewBundle(&protobundle.Bundle{
		MediaType: bundleMediaType + "+json;version=0.1",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
				Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}},
			}},
			TlogEntries: []*protorekor.TransparencyLogEntry{entry},
		},
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     s.signature,
		}},
	})
	if err != nil {
		return nil, untrusted("a signature is incomplete: %w", err)
	}
	return b, nil
}

// logEntry reads the transparency log's proof as Cosign stores it.
func logEntry(proof []byte) (*protorekor.TransparencyLogEntry, error) {
	var stored struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := json.Unmarshal(proof, &stored); err != nil {
		return nil, untrusted("a signature has no proof of a transparency log that can be read")
	}
	logID, err := hex.DecodeString(stored.Payload.LogID)
	if err != nil {
		return nil, untrusted("the proof of a transparency log names no log")
	}
	var kind struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(stored.Payload.Body, &kind); err != nil {
		return nil, untrusted("the entry of a transparency log can't be read")
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex: stored.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: logID}, IntegratedTime: stored.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: stored.SignedEntryTimestamp},
		CanonicalizedBody: stored.Payload.Body,
	}, nil
}
