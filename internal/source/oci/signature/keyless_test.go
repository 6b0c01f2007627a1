package signature_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-dev/slipway/internal/lab/cosign"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

const (
	issuer  = "https://token.actions.example.com"
	subject = "https://git.example.com/team/shop/.github/workflows/release.yaml@refs/heads/main"
)

// sigstore is an instance of Sigstore: an authority for certificates and a transparency log.
type instance struct {
	*testing.T
	ca *ca.VirtualSigstore
}

func newInstance(t *testing.T) instance {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return instance{t, virtual}
}

// trustedRoot is its trusted_root.json.
func (i instance) trustedRoot() []byte {
	i.Helper()
	raw, err := cosign.TrustedRoot(i.ca)
	if err != nil {
		i.Fatal(err)
	}
	return raw
}

func (i instance) verifier(identities ...signature.Identity) signature.Verifier {
	i.Helper()
	v, err := signature.CosignKeyless(identities, i.trustedRoot())
	if err != nil {
		i.Fatal(err)
	}
	return v
}

// simple signs a payload with a short-lived certificate, as Cosign 2 stores it.
func (i instance) simple(payload []byte, at time.Time) signed {
	i.Helper()
	e, err := i.ca.SignAtTime(subject, issuer, payload, at)
	if err != nil {
		i.Fatal(err)
	}
	content, err := e.SignatureContent()
	if err != nil {
		i.Fatal(err)
	}
	entry := i.entry(e)
	proof, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": entry.GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload": map[string]any{
			"body": entry.GetCanonicalizedBody(), "integratedTime": entry.GetIntegratedTime(), "logIndex": entry.GetLogIndex(),
			"logID": hex.EncodeToString(entry.GetLogId().GetKeyId()),
		},
	})
	if err != nil {
		i.Fatal(err)
	}
	return signed{payload, map[string]string{
		"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(content.Signature()),
		"dev.sigstore.cosign/certificate":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate(e).Raw})),
		"dev.sigstore.cosign/bundle":         string(proof),
	}}
}

// entry is the log's entry with its promise, which the library keeps to itself: the log signs it once more.
func (i instance) entry(e *ca.TestEntity) *protorekor.TransparencyLogEntry {
	i.Helper()
	entries, err := e.TlogEntries()
	if err != nil || len(entries) != 1 {
		i.Fatalf("%d entries: %v", len(entries), err)
	}
	entry := entries[0].TransparencyLogEntry()
	promise, err := i.ca.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()), IntegratedTime: entry.GetIntegratedTime(),
		LogIndex: entry.GetLogIndex(), LogID: hex.EncodeToString(entry.GetLogId().GetKeyId()),
	})
	if err != nil {
		i.Fatal(err)
	}
	entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	var kind struct{ Kind, APIVersion string }
	if err := json.Unmarshal(entry.GetCanonicalizedBody(), &kind); err != nil {
		i.Fatal(err)
	}
	entry.KindVersion = &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion}
	return entry
}

func (i instance) certificate(e *ca.TestEntity) *x509.Certificate {
	i.Helper()
	content, err := e.VerificationContent()
	if err != nil {
		i.Fatal(err)
	}
	return content.Certificate()
}

// bundle signs a statement with a short-lived certificate, as Cosign 3 stores it.
func (i instance) bundle(statement []byte) []byte {
	i.Helper()
	e, err := i.ca.AttestAtTime(subject, issuer, statement, time.Now().Add(5*time.Minute), true)
	if err != nil {
		i.Fatal(err)
	}
	content, err := e.SignatureContent()
	if err != nil {
		i.Fatal(err)
	}
	raw, err := protojson.Marshal(&protobundle.Bundle{
		MediaType: bundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: i.certificate(e).Raw}},
			TlogEntries: []*protorekor.TransparencyLogEntry{i.entry(e)},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: statement, PayloadType: "application/vnd.in-toto+json", Signatures: []*protodsse.Signature{{Sig: content.Signature()}},
		}},
	})
	if err != nil {
		i.Fatal(err)
	}
	return raw
}

func exactly(issuer, subject string) signature.Identity {
	return signature.Identity{Issuer: "^" + issuer + "$", Subject: "^" + subject + "$"}
}

func TestKeyless(t *testing.T) {
	t.Parallel()
	mine, stranger := newInstance(t), newInstance(t)
	right := exactly(issuer, subject)
	cases := map[string]struct {
		reason   string
		push     func(w *world)
		verifier signature.Verifier
		bad      string
	}{
		"Simple": {
			"as Cosign 2 signs", func(w *world) { w.simple(mine.simple(w.payload(w.artifact), time.Now().Add(time.Minute))) },
			mine.verifier(right), "",
		},
		"Bundle": {
			"as Cosign 3 signs", func(w *world) {
				w.refer(bundleType, bundleType, mine.bundle(statement(w.T, w.artifact, signPredicate)))
			},
			mine.verifier(right), "",
		},
		"OneOfThem": {
			"any of the identities", func(w *world) { w.simple(mine.simple(w.payload(w.artifact), time.Now().Add(time.Minute))) },
			mine.verifier(exactly(issuer, "somebody@example.com"), right), "",
		},
		"OtherSubject": {
			"another workflow", func(w *world) { w.simple(mine.simple(w.payload(w.artifact), time.Now().Add(time.Minute))) },
			mine.verifier(exactly(issuer, "somebody@example.com")), "identity",
		},
		"OtherIssuer": {
			"another identity provider", func(w *world) {
				w.refer(bundleType, bundleType, mine.bundle(statement(w.T, w.artifact, signPredicate)))
			},
			mine.verifier(exactly("https://accounts.example.com", subject)), "identity",
		},
		"OtherInstance": {
			"the right name from another authority", func(w *world) { w.simple(stranger.simple(w.payload(w.artifact), time.Now().Add(time.Minute))) },
			mine.verifier(right), "trusted",
		},
		"Expired": {
			"the certificate wasn't valid when the log saw it", func(w *world) { w.simple(mine.simple(w.payload(w.artifact), time.Now().Add(40*time.Minute))) },
			mine.verifier(right), "certificate",
		},
		"NoProof": {
			"no word of the log", func(w *world) {
				s := mine.simple(w.payload(w.artifact), time.Now().Add(time.Minute))
				delete(s.annotations, "dev.sigstore.cosign/bundle")
				w.simple(s)
			}, mine.verifier(right), "transparency log",
		},
		"ProofOfAnother": {
			"the log's word about another signature", func(w *world) {
				s, o := mine.simple(w.payload(w.artifact), time.Now().Add(time.Minute)), mine.simple([]byte("other"), time.Now().Add(time.Minute))
				s.annotations["dev.sigstore.cosign/bundle"] = o.annotations["dev.sigstore.cosign/bundle"]
				w.simple(s)
			}, mine.verifier(right), "trusted",
		},
		"KeySigned": {
			"signed with a key", func(w *world) { w.simple(newKey(t).sign(w.payload(w.artifact))) }, mine.verifier(right), "spec.verify.secretRef",
		},
		"Attestation": {
			"not a signature", func(w *world) {
				w.refer(bundleType, bundleType, mine.bundle(statement(w.T, w.artifact, "https://example.com/scan")))
			},
			mine.verifier(right), "attestation",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			tc.push(w)
			if tc.bad != "" {
				w.untrusted(tc.verifier, tc.bad)
				return
			}
			w.trusted(tc.verifier, subject)
		})
	}
}

func TestKeylessSettings(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	right := []signature.Identity{exactly(issuer, subject)}
	cases := map[string]struct {
		reason     string
		identities []signature.Identity
		root       []byte
	}{
		"Nobody":   {"without a name, everybody would be trusted", nil, i.trustedRoot()},
		"NoRoot":   {"nobody vouches for certificates", right, nil},
		"BadRoot":  {"no JSON", right, []byte("x")},
		"NoLog":    {"a root without a log", right, []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)},
		"BadRegex": {"no expression", []signature.Identity{{Issuer: "(", Subject: "a"}}, i.trustedRoot()},
		"Empty":    {"an empty expression matches everybody", []signature.Identity{{Issuer: issuer}}, i.trustedRoot()},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := signature.CosignKeyless(tc.identities, tc.root); !errors.Is(err, signature.ErrConfig) {
				t.Errorf("%s: got %v, want an error of the settings", tc.reason, err)
			}
		})
	}
}
