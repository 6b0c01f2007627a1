package signature

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	_ "github.com/notaryproject/notation-core-go/signature/cose" // one of the two forms of an envelope
	_ "github.com/notaryproject/notation-core-go/signature/jws"  // the other one
	notationgo "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// trustPolicyKey is the name in the Secret of Notation's trust policy.
const trustPolicyKey = "trustpolicy.json"

// notation verifies what 'notation sign' has made.
type notation struct {
	verifier notationgo.Verifier
	id       string
}

// Notation trusts whom the trust policy in a Secret (trustpolicy.json) trusts, with the Secret's certificates (values whose names
// end in .crt or .pem) as the content of every trust store that the policy names. Plugins are not run.
func Notation(data map[string][]byte) (Verifier, error) {
	raw, ok := data[trustPolicyKey]
	if !ok {
		return nil, misconfigured("the Secret that spec.verify.secretRef names has no %s: put Notation's trust policy there", trustPolicyKey)
	}
	var policy trustpolicy.Document
	if err := json.Unmarshal(raw, &policy); err != nil {
		return nil, misconfigured("%s is not the JSON of a trust policy", trustPolicyKey)
	}
	for i, statement := range policy.TrustPolicies {
		if statement.SignatureVerification.VerificationLevel == trustpolicy.LevelSkip.Name {
			// Notation's own check refuses them together; nobody is asked where nothing is checked.
			policy.TrustPolicies[i].TrustStores, policy.TrustPolicies[i].TrustedIdentities = nil, nil
		}
	}
	store, parts := certificates{}, [][]byte{raw}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if !strings.HasSuffix(name, ".crt") && !strings.HasSuffix(name, ".pem") {
			continue
		}
		found, err := parseCertificates(data[name])
		if err != nil || len(found) == 0 {
			return nil, misconfigured("%s in the Secret that spec.verify.secretRef names holds no certificate that can be read", name)
		}
		store = append(store, found...)
		parts = append(parts, data[name])
	}
	if len(store) == 0 {
		return nil, misconfigured("the Secret that spec.verify.secretRef names has no certificate: put the signers' authority under a name that ends in .crt or .pem")
	}
	v, err := verifier.New(&policy, store, nil)
	if err != nil {
		return nil, misconfigured("%s: %w", trustPolicyKey, err)
	}
	return &notation{verifier: v, id: newID("notation", parts...)}, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		found, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return nil, err
		}
		all, text = append(all, found...), rest
	}
	if len(all) > 0 {
		return all, nil
	}
	return x509.ParseCertificates(text) // Without the armour of PEM.
}

// certificates is a trust store in memory. There is one Secret, so there is one store, whatever a policy calls it.
type certificates []*x509.Certificate

// GetCertificates implements truststore.X509TrustStore.
func (c certificates) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	return c, nil
}

// ID implements [Verifier].
func (n *notation) ID() string { return n.id }

// Verify implements [Verifier].
func (n *notation) Verify(ctx context.Context, reg Registry, artifact name.Digest) (_ Verdict, err error) {
	defer recovered(&err)
	repo := &signatures{reg: reg, repo: artifact.Context()}
	_, outcomes, err := notationgo.Verify(ctx, n.verifier, repo, notationgo.VerifyOptions{
		ArtifactReference: artifact.Context().Name() + "@" + artifact.DigestStr(), MaxSignatureAttempts: maxSignatures,
	})
	switch {
	case repo.err != nil:
		return Verdict{}, repo.err
	case ctx.Err() != nil:
		return Verdict{}, ctx.Err()
	case err != nil:
		return Verdict{}, &Untrusted{err}
	case len(outcomes) == 0:
		return Verdict{}, untrusted("it has no signature")
	}
	return verdictOf(outcomes[0]), nil
}

// verdictOf reads an outcome that the policy lets through. It may do so although nothing was proved: at the level skip nothing is
// looked at, at the level audit everything passes.
func verdictOf(o *notationgo.VerificationOutcome) Verdict {
	if o.VerificationLevel == nil || o.VerificationLevel.Name == trustpolicy.LevelSkip.Name || o.EnvelopeContent == nil {
		return Verdict{}
	}
	for _, r := range o.VerificationResults {
		if r.Error != nil && (r.Type == trustpolicy.TypeAuthenticity || r.Type == trustpolicy.TypeIntegrity) {
			return Verdict{}
		}
	}
	signer := "unknown"
	if chain := o.EnvelopeContent.SignerInfo.CertificateChain; len(chain) > 0 {
		signer = chain[0].Subject.String()
	}
	return Verdict{Good: true, Signer: signer, Ends: o.EnvelopeContent.SignerInfo.SignedAttributes.Expiry}
}

// signatures lets Notation read the signatures of a repository through our own connection.
type signatures struct {
	reg  Registry
	repo name.Repository
	err  error // of the registry; Notation only hands on its text
}

// Resolve implements registry.Repository.
func (s *signatures) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	desc, err := s.reg.Puller.Get(ctx, s.repo.Digest(reference))
	if err != nil {
		s.err = err
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: string(desc.MediaType), Digest: godigest.Digest(desc.Digest.String()), Size: desc.Size}, nil
}

// ListSignatures implements registry.Repository.
func (s *signatures) ListSignatures(ctx context.Context, desc ocispec.Descriptor, fn func([]ocispec.Descriptor) error) error {
	index, err := remote.Referrers(s.repo.Digest(desc.Digest.String()), remote.Reuse(s.reg.Puller), remote.WithContext(ctx))
	if err != nil && !isMissing(err) {
		s.err = err
		return err
	}
	var found []ocispec.Descriptor
	if err == nil {
		list, err := index.IndexManifest()
		if err != nil {
			return untrusted("the list of signatures can't be read")
		}
		for _, m := range list.Manifests {
			if m.ArtifactType == registry.ArtifactTypeNotation {
				found = append(found, ocispec.Descriptor{MediaType: string(m.MediaType), Digest: godigest.Digest(m.Digest.String()), Size: m.Size})
			}
		}
	}
	return fn(found)
}

// FetchSignatureBlob implements registry.Repository.
func (s *signatures) FetchSignatureBlob(ctx context.Context, desc ocispec.Descriptor) ([]byte, ocispec.Descriptor, error) {
	manifest, err := s.reg.Puller.Get(ctx, s.repo.Digest(desc.Digest.String()))
	if err != nil {
		s.err = err
		return nil, ocispec.Descriptor{}, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(manifest.Manifest))
	if err != nil || len(m.Layers) != 1 {
		return nil, ocispec.Descriptor{}, untrusted("a signature's manifest can't be read")
	}
	l := m.Layers[0]
	blob, err := fetchBlob(ctx, s.reg, s.repo, l.Digest)
	var bad *Untrusted
	if err != nil && !errors.As(err, &bad) {
		s.err = err
	}
	return blob, ocispec.Descriptor{MediaType: string(l.MediaType), Digest: godigest.Digest(l.Digest.String()), Size: l.Size}, err
}

// PushSignature implements registry.Repository. Nothing is signed here.
func (s *signatures) PushSignature(context.Context, string, []byte, ocispec.Descriptor, map[string]string) (blob, manifest ocispec.Descriptor, err error) {
	return blob, manifest, errors.New("signatures are only read here")
}
