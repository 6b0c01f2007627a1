package oci_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/notaryproject/notation-core-go/testhelper"
	notationgo "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// notated pushes an artifact and signs it with Notation's library. The signature says that it ends after a while, or, with 0, nothing.
func (w *world) notated(ends time.Duration) (verify func(*oci.Request)) {
	w.Helper()
	w.push("latest", layer(w.T, map[string]string{"a": "1"}))
	desc, err := remote.Head(w.tag("latest"))
	if err != nil {
		w.Fatal(err)
	}
	by := testhelper.GetRSASelfSignedSigningCertTuple("mine")
	s, err := signer.NewGenericSigner(by.PrivateKey, []*x509.Certificate{by.Cert})
	if err != nil {
		w.Fatal(err)
	}
	const jws = "application/jose+json"
	envelope, _, err := s.Sign(w.Context(), ocispec.Descriptor{
		MediaType: string(desc.MediaType), Digest: godigest.Digest(desc.Digest.String()), Size: desc.Size,
	}, notationgo.SignerSignOptions{SignatureMediaType: jws, ExpiryDuration: ends})
	if err != nil {
		w.Fatal(err)
	}
	img, err := mutate.Append(mutate.ConfigMediaType(emptyArtifact(), types.MediaType(registry.ArtifactTypeNotation)), mutate.Addendum{Layer: static.NewLayer(envelope, jws)})
	if err != nil {
		w.Fatal(err)
	}
	img = mutate.Subject(img, *desc).(v1.Image)
	digest, err := img.Digest()
	if err != nil {
		w.Fatal(err)
	}
	repo, err := name.NewRepository(w.host()+"/team/shop", name.Insecure)
	if err == nil {
		err = remote.Write(repo.Digest(digest.String()), img)
	}
	if err != nil {
		w.Fatal(err)
	}
	policy, err := json.Marshal(trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "shop", RegistryScopes: []string{"*"}, SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
		TrustStores: []string{"ca:test"}, TrustedIdentities: []string{"*"},
	}}})
	if err != nil {
		w.Fatal(err)
	}
	v, err := signature.Notation(map[string][]byte{"trustpolicy.json": policy, "ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: by.Cert.Raw})})
	if err != nil {
		w.Fatal(err)
	}
	return func(q *oci.Request) { q.Verify = v }
}

// TestSignatureIsLookedAtAgain: what was good once isn't good for ever. A signature that was taken back counts for a day at most.
func TestSignatureIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var later atomic.Int64
	w.client = oci.NewClient(w.store, oci.Clock(func() time.Time { return time.Now().Add(time.Duration(later.Load())) }))
	verify := w.notated(0)
	if !w.fetch(verify).Verified.Good {
		t.Fatal("it must be verified")
	}
	looks := func() int {
		return len(slices.DeleteFunc(w.take(), func(r string) bool { return r == "HEAD /v2/team/shop/manifests/latest" }))
	}
	w.take()
	later.Store(int64(23 * time.Hour))
	if w.fetch(verify); looks() > 0 {
		t.Error("what was verified a moment ago costs nothing")
	}
	later.Store(int64(25 * time.Hour))
	if w.fetch(verify); looks() == 0 {
		t.Error("a day later it must be looked at again")
	}
	if w.fetch(verify); looks() > 0 {
		t.Error("which lasts for another day")
	}
	w.on(func(rw http.ResponseWriter, r *http.Request) bool {
		gone := strings.Contains(r.URL.Path, "/referrers/")
		if gone {
			rw.WriteHeader(http.StatusNotFound)
		}
		return gone
	})
	later.Store(int64(50 * time.Hour))
	_ = w.refused(oci.ReasonVerification, verify)
}

// TestSignatureThatEnds: a signature that says when it ends counts until then, although it was verified before.
func TestSignatureThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	verify := w.notated(10 * time.Second) // By the real clock: it is Notation's own that tells.
	if !w.fetch(verify).Verified.Good {
		t.Fatal("it must be verified")
	}
	tick, enough := time.NewTicker(100*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for {
		_, err := w.client.Fetch(t.Context(), w.request(verify))
		var typed *source.Error
		if errors.As(err, &typed) && typed.Reason == oci.ReasonVerification {
			return
		}
		select {
		case <-tick.C:
		case <-enough:
			t.Fatalf("it has ended, and still counts: %v", err)
		}
	}
}
