package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const someDigest = "sha256:ae5a1014447dd9ea812f9f504efec1e8c213f332cffbf2d025e89d7fdfb5b195"

// FuzzSimple reads payloads, signatures, certificates and proofs from strangers: nothing that nobody signed is good.
func FuzzSimple(f *testing.F) {
	payload := []byte(`{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"` + someDigest + `"},"type":"cosign container image signature"}}`)
	f.Add(payload, "c2ln", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", `{"SignedEntryTimestamp":"MA==","Payload":{"body":"e30=","integratedTime":1,"logIndex":1,"logID":"00"}}`)
	f.Add([]byte("{}"), "", "", "")
	trusted := fuzzKeys(f)
	f.Fuzz(func(t *testing.T, payload []byte, sig, certificate, proof string) {
		s, err := readSimple(payload, map[string]string{annotationSig: sig, annotationCert: certificate, annotationBundle: proof}, someDigest)
		if err != nil {
			mustBeUntrusted(t, err)
			return
		}
		if signer, err := trusted.simple(s); err == nil {
			t.Errorf("%s has signed %q", signer, payload)
		}
		if _, err := s.toBundle(); err != nil {
			mustBeUntrusted(t, err)
		}
	})
}

// FuzzBundle reads bundles from strangers.
func FuzzBundle(f *testing.F) {
	digest, err := v1.NewHash(someDigest)
	if err != nil {
		f.Fatal(err)
	}
	statement := base64.StdEncoding.EncodeToString([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + signPredicate + `","subject":[{"digest":{"sha256":"` + digest.Hex + `"}}]}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":{"payload":"` + statement + `","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUCIQ=="}]}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{"x509CertificateChain":{"certificates":[{"rawBytes":"MA=="}]}},"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"MA=="},"signature":"MA=="}}`))
	trusted := fuzzKeys(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		signer, err := trusted.bundle(raw, digest)
		if err == nil {
			t.Errorf("%s has signed %q", signer, raw)
			return
		}
		mustBeUntrusted(t, err)
	})
}

func fuzzKeys(f *testing.F) judge {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	v, err := CosignKeys(map[string][]byte{"a.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})})
	if err != nil {
		f.Fatal(err)
	}
	return v.(*cosign).judge
}

func mustBeUntrusted(t *testing.T, err error) {
	t.Helper()
	var bad *Untrusted
	if !errors.As(err, &bad) {
		t.Errorf("%v is a %T, want an *Untrusted: it is a stranger's fault, not the registry's", err, err)
	}
}
