package signature_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"testing"

	_ "github.com/notaryproject/notation-core-go/signature/cose"
	_ "github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-core-go/testhelper"
	notationgo "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// notate signs the artifact with Notation's library.
func (w *world) notate(by testhelper.RSACertTuple, chain []*x509.Certificate, mediaType string) {
	w.Helper()
	s, err := signer.NewGenericSigner(by.PrivateKey, chain)
	if err != nil {
		w.Fatal(err)
	}
	envelope, _, err := s.Sign(w.Context(), ocispec.Descriptor{
		MediaType: string(w.desc.MediaType), Digest: godigest.Digest(w.desc.Digest.String()), Size: w.desc.Size,
	}, notationgo.SignerSignOptions{SignatureMediaType: mediaType})
	if err != nil {
		w.Fatal(err)
	}
	w.refer(registry.ArtifactTypeNotation, mediaType, envelope)
}

func policy(t *testing.T, scope, level string, stores, identities []string) []byte {
	t.Helper()
	raw, err := json.Marshal(trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "shop", RegistryScopes: []string{scope}, SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: level},
		TrustStores: stores, TrustedIdentities: identities,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func certificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

const (
	jws  = "application/jose+json"
	cose = "application/cose"
)

func TestNotation(t *testing.T) {
	t.Parallel()
	mine, other := testhelper.GetRSASelfSignedSigningCertTuple("mine"), testhelper.GetRSASelfSignedSigningCertTuple("other")
	leaf, authority := testhelper.GetRSALeafCertificate(), testhelper.GetRSARootCertificate()
	alone := []*x509.Certificate{mine.Cert}
	stores, anybody := []string{"ca:test"}, []string{"*"}
	cases := map[string]struct {
		reason  string
		push    func(w *world)
		scope   string // the repository's if empty
		level   string
		names   []string
		trusted *x509.Certificate
		bad     string
		ignored bool // passes, without being verified
	}{
		"JWS":       {reason: "one form of an envelope", push: func(w *world) { w.notate(mine, alone, jws) }, level: "strict", trusted: mine.Cert},
		"COSE":      {reason: "the other form", push: func(w *world) { w.notate(mine, alone, cose) }, level: "strict", trusted: mine.Cert},
		"Chain":     {reason: "an authority vouches for the signer", push: func(w *world) { w.notate(leaf, []*x509.Certificate{leaf.Cert, authority.Cert}, jws) }, level: "permissive", trusted: authority.Cert},
		"All":       {reason: "the policy for all repositories", push: func(w *world) { w.notate(mine, alone, jws) }, scope: "*", level: "strict", trusted: mine.Cert},
		"Second":    {reason: "one good signature is enough", push: func(w *world) { w.notate(other, []*x509.Certificate{other.Cert}, jws); w.notate(mine, alone, jws) }, level: "strict", trusted: mine.Cert},
		"None":      {reason: "not signed", push: func(*world) {}, level: "strict", trusted: mine.Cert, bad: "no signature"},
		"Stranger":  {reason: "by a stranger", push: func(w *world) { w.notate(other, []*x509.Certificate{other.Cert}, jws) }, level: "strict", trusted: mine.Cert, bad: "any trusted certificate"},
		"OtherName": {reason: "by a name that isn't trusted", push: func(w *world) { w.notate(mine, alone, jws) }, level: "strict", names: []string{"x509.subject: CN=boss, O=Notary, L=Seattle, ST=WA, C=US"}, trusted: mine.Cert, bad: "trusted identities"},
		"OtherRepo": {reason: "no policy for this repository", push: func(w *world) { w.notate(mine, alone, jws) }, scope: "registry.example.com/other", level: "strict", trusted: mine.Cert, bad: "trust policy"},
		"Garbage":   {reason: "no envelope", push: func(w *world) { w.refer(registry.ArtifactTypeNotation, jws, []byte("{}")) }, level: "strict", trusted: mine.Cert, bad: ""},
		"Audit":     {reason: "a policy that lets everything pass proves nothing", push: func(w *world) { w.notate(other, []*x509.Certificate{other.Cert}, jws) }, level: "audit", trusted: mine.Cert, ignored: true},
		"Skip":      {reason: "a policy that looks at nothing", push: func(*world) {}, level: "skip", trusted: mine.Cert, ignored: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			tc.push(w)
			scope, names := tc.scope, anybody
			if scope == "" {
				scope = w.repo.Name()
			}
			if tc.names != nil {
				names = tc.names
			}
			v, err := signature.Notation(map[string][]byte{"trustpolicy.json": policy(t, scope, tc.level, stores, names), "ca.crt": certificate(tc.trusted)})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.ignored:
				if got, err := w.verify(v); err != nil || got.Good {
					t.Errorf("%s: got %+v, %v", tc.reason, got, err)
				}
			case tc.bad != "" || name == "Garbage":
				w.untrusted(v, tc.bad)
			default:
				w.trusted(v, "CN=")
			}
		})
	}
}

func TestNotationForAnotherArtifact(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	mine := testhelper.GetRSASelfSignedSigningCertTuple("mine")
	good := w.desc
	_, w.desc = w.push(w.image([]byte("other"), "application/x.content", nil))
	s, err := signer.NewGenericSigner(mine.PrivateKey, []*x509.Certificate{mine.Cert})
	if err != nil {
		t.Fatal(err)
	}
	envelope, _, err := s.Sign(t.Context(), ocispec.Descriptor{
		MediaType: string(w.desc.MediaType), Digest: godigest.Digest(w.desc.Digest.String()), Size: w.desc.Size,
	}, notationgo.SignerSignOptions{SignatureMediaType: jws})
	if err != nil {
		t.Fatal(err)
	}
	w.desc = good
	w.refer(registry.ArtifactTypeNotation, jws, envelope)
	v, err := signature.Notation(map[string][]byte{"trustpolicy.json": policy(t, "*", "strict", []string{"ca:test"}, []string{"*"}), "ca.crt": certificate(mine.Cert)})
	if err != nil {
		t.Fatal(err)
	}
	w.untrusted(v, "")
}

func TestNotationSettings(t *testing.T) {
	t.Parallel()
	cert := certificate(testhelper.GetRSARootCertificate().Cert)
	good := policy(t, "*", "strict", []string{"ca:test"}, []string{"*"})
	cases := map[string]map[string][]byte{
		"NoPolicy":  {"ca.crt": cert},
		"NoCert":    {"trustpolicy.json": good},
		"BadCert":   {"trustpolicy.json": good, "ca.crt": []byte("hunter2")},
		"BadPolicy": {"trustpolicy.json": []byte("hunter2"), "ca.crt": cert},
		"NoLevel":   {"trustpolicy.json": bytes.Replace(good, []byte("strict"), []byte("maybe"), 1), "ca.crt": cert},
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := signature.Notation(data); !errors.Is(err, signature.ErrConfig) {
				t.Errorf("got %v, want an error of the settings", err)
			}
		})
	}
}
