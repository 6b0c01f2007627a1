package signature_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	sigpayload "github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

const simpleMediaType = "application/vnd.dev.cosign.simplesigning.v1+json"

// world is a registry with one artifact.
type world struct {
	*testing.T
	repo     name.Repository
	artifact name.Digest
	desc     v1.Descriptor
	reg      signature.Registry
}

// newWorld starts a registry, with or without the API that lists what refers to an artifact.
func newWorld(t *testing.T, referrers bool) *world {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
	t.Cleanup(server.Close)
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://")+"/team/shop", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	puller, err := remote.NewPuller()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, repo: repo, reg: signature.Registry{Puller: puller, Blob: func(ctx context.Context) context.Context { return ctx }}}
	w.artifact, w.desc = w.push(w.image([]byte("content"), "application/x.content", nil))
	return w
}

func (w *world) image(layer []byte, mediaType string, annotations map[string]string) v1.Image {
	w.Helper()
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: static.NewLayer(layer, types.MediaType(mediaType)), Annotations: annotations,
	})
	if err != nil {
		w.Fatal(err)
	}
	return img
}

func (w *world) push(img v1.Image) (name.Digest, v1.Descriptor) {
	w.Helper()
	digest, err := img.Digest()
	if err != nil {
		w.Fatal(err)
	}
	ref := w.repo.Digest(digest.String())
	if err := remote.Write(ref, img); err != nil {
		w.Fatal(err)
	}
	desc, err := remote.Head(ref)
	if err != nil {
		w.Fatal(err)
	}
	return ref, *desc
}

// refer pushes a manifest that refers to the artifact, with one layer.
func (w *world) refer(artifactType, mediaType string, layer []byte) {
	w.Helper()
	img := mutate.ConfigMediaType(w.image(layer, mediaType, nil), types.MediaType(artifactType))
	w.push(mutate.Subject(img, w.desc).(v1.Image))
}

// signed is one layer of the manifest under the .sig tag.
type signed struct {
	payload     []byte
	annotations map[string]string
}

// simple pushes signatures in the older form.
func (w *world) simple(all ...signed) {
	w.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for _, s := range all {
		var err error
		if img, err = mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(s.payload, simpleMediaType), Annotations: s.annotations}); err != nil {
			w.Fatal(err)
		}
	}
	if err := remote.Write(w.repo.Tag(strings.Replace(w.artifact.DigestStr(), ":", "-", 1)+".sig"), img); err != nil {
		w.Fatal(err)
	}
}

// payload is what Cosign signs of an artifact.
func (w *world) payload(artifact name.Digest) []byte {
	w.Helper()
	p, err := json.Marshal(sigpayload.Cosign{Image: artifact})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// key is a pair of keys, as 'cosign generate-key-pair' makes it.
type key struct {
	*testing.T
	signer sigstore.SignerVerifier
	public []byte
}

func newKey(t *testing.T) key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyOf(t, private)
}

func keyOf(t *testing.T, private any) key {
	t.Helper()
	signer, err := sigstore.LoadSignerVerifier(private, 5) // crypto.SHA256
	if err != nil {
		t.Fatal(err)
	}
	public, err := signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		t.Fatal(err)
	}
	return key{T: t, signer: signer, public: text}
}

// sign signs a payload as a layer under the .sig tag.
func (k key) sign(payload []byte) signed {
	k.Helper()
	sig, err := k.signer.SignMessage(bytes.NewReader(payload))
	if err != nil {
		k.Fatal(err)
	}
	return signed{payload, map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(sig)}}
}

func (w *world) verify(v signature.Verifier) (signature.Verdict, error) {
	return v.Verify(w.Context(), w.reg, w.artifact)
}

// trusted verifies what must be good.
func (w *world) trusted(v signature.Verifier, signer string) {
	w.Helper()
	got, err := w.verify(v)
	if err != nil || !got.Good || !strings.Contains(got.Signer, signer) {
		w.Errorf("got %+v, %v; want a good signature by %s", got, err, signer)
	}
}

// untrusted verifies what must not be good.
func (w *world) untrusted(v signature.Verifier, text string) {
	w.Helper()
	got, err := w.verify(v)
	var bad *signature.Untrusted
	if !errors.As(err, &bad) || got.Good || !strings.Contains(fmt.Sprint(err), text) {
		w.Errorf("got %+v, %v; want an *Untrusted that says %q", got, err, text)
	}
}
