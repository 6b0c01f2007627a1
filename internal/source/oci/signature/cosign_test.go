package signature_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

func keysOf(t *testing.T, public ...[]byte) signature.Verifier {
	t.Helper()
	data := map[string][]byte{"unrelated": []byte("x")}
	for i, p := range public {
		data[strings.Repeat("k", i+1)+".pub"] = p
	}
	v, err := signature.CosignKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCosignKey(t *testing.T) {
	t.Parallel()
	mine, other := newKey(t), newKey(t)
	verifier := keysOf(t, mine.public)
	cases := map[string]struct {
		reason string
		sigs   func(w *world) []signed
		bad    string // empty if it is trusted
	}{
		"Mine": {"by the key", func(w *world) []signed { return []signed{mine.sign(w.payload(w.artifact))} }, ""},
		"AmongOthers": {"one good signature is enough", func(w *world) []signed {
			return []signed{other.sign(w.payload(w.artifact)), mine.sign(w.payload(w.artifact))}
		}, ""},
		"None":  {"not signed", nil, "no signature"},
		"Other": {"by another key", func(w *world) []signed { return []signed{other.sign(w.payload(w.artifact))} }, "none of the keys"},
		"OtherDigest": {"a good signature of another artifact, copied here", func(w *world) []signed {
			return []signed{mine.sign(w.payload(w.repo.Digest("sha256:" + strings.Repeat("a", 64))))}
		}, "another artifact"},
		"OtherPayload": {"the signature of another payload", func(w *world) []signed {
			s := mine.sign(w.payload(w.repo.Digest("sha256:" + strings.Repeat("a", 64))))
			s.payload = w.payload(w.artifact)
			return []signed{s}
		}, "none of the keys"},
		"NoAnnotation": {"no signature in the annotation", func(w *world) []signed { return []signed{{w.payload(w.artifact), nil}} }, "annotation"},
		"NoJSON":       {"a payload that is no JSON", func(*world) []signed { return []signed{mine.sign([]byte("x"))} }, "not JSON"},
		"OtherType": {"a payload of another type", func(w *world) []signed {
			return []signed{mine.sign([]byte(strings.Replace(string(w.payload(w.artifact)), "cosign container image signature", "revocation", 1)))}
		}, "revocation"},
		"TooLarge": {"a payload that is far too large", func(w *world) []signed {
			return []signed{mine.sign(append(w.payload(w.artifact), []byte(strings.Repeat(" ", 2<<20))...))}
		}, "more than"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			if tc.sigs != nil {
				w.simple(tc.sigs(w)...)
			}
			if tc.bad != "" {
				w.untrusted(verifier, tc.bad)
				return
			}
			w.trusted(verifier, "k.pub")
		})
	}
}

func TestCosignKindsOfKeys(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, private := range map[string]any{"P384": p384, "RSA": rsaKey, "Ed25519": ed} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, true)
			k := keyOf(t, private)
			w.simple(k.sign(w.payload(w.artifact)))
			w.trusted(keysOf(t, newKey(t).public, k.public), "kk.pub")
		})
	}
}

// statement is what Cosign 3 signs of an artifact.
func statement(t *testing.T, artifact name.Digest, predicate string) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"predicateType": predicate,
		"subject":       []any{map[string]any{"digest": map[string]string{"sha256": strings.TrimPrefix(artifact.DigestStr(), "sha256:")}}},
		"predicate":     map[string]any{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const (
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
	bundleType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// bundle signs content with a key of Sigstore's library.
func bundle(t *testing.T, content sign.Content) (raw, public []byte) {
	t.Helper()
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sign.Bundle(content, pair, sign.BundleOptions{Context: context.Background()})
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = protojson.Marshal(b); err != nil {
		t.Fatal(err)
	}
	text, err := pair.GetPublicKeyPem()
	if err != nil {
		t.Fatal(err)
	}
	return raw, []byte(text)
}

func TestCosignBundle(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason    string
		referrers bool
		subject   string // instead of the artifact's digest
		predicate string
		bad       string
		otherKey  bool
	}{
		"Signature":   {reason: "as Cosign 3 signs", referrers: true, predicate: signPredicate},
		"Fallback":    {reason: "in a registry without the referrers API", predicate: signPredicate},
		"Attestation": {reason: "a statement about the artifact approves of nothing", referrers: true, predicate: "https://slsa.dev/provenance/v1", bad: "attestation"},
		"Elsewhere":   {reason: "a statement about another artifact", referrers: true, predicate: signPredicate, subject: "sha256:" + strings.Repeat("b", 64), bad: "bundle"},
		"OtherKey":    {reason: "another key", referrers: true, predicate: signPredicate, otherKey: true, bad: "none of the keys"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.referrers)
			subject := w.artifact
			if tc.subject != "" {
				subject = w.repo.Digest(tc.subject)
			}
			raw, public := bundle(t, &sign.DSSEData{Data: statement(t, subject, tc.predicate), PayloadType: "application/vnd.in-toto+json"})
			w.refer(bundleType, bundleType, raw)
			if tc.otherKey {
				public = newKey(t).public
			}
			if tc.bad != "" {
				w.untrusted(keysOf(t, public), tc.bad)
				return
			}
			w.trusted(keysOf(t, public), "k.pub")
		})
	}
}

func TestBrokenBundleBesideAGoodSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	k := newKey(t)
	w.refer(bundleType, bundleType, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`))
	w.refer(bundleType, "application/x.other", []byte(`x`))
	w.untrusted(keysOf(t, k.public), "none of its 2 signatures")
	w.simple(k.sign(w.payload(w.artifact)))
	w.trusted(keysOf(t, k.public), "k.pub")
}

func TestRegistryFaultIsNoVerdict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := keysOf(t, newKey(t).public).Verify(ctx, w.reg, w.artifact)
	var bad *signature.Untrusted
	if !errors.Is(err, context.Canceled) || errors.As(err, &bad) {
		t.Errorf("got %v, want what happened on the way", err)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]map[string][]byte{
		"None":    {"cosign.key": []byte("x")},
		"NoPEM":   {"cosign.pub": []byte("hunter2")},
		"Private": {"cosign.pub": []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n")},
		"Garbage": {"cosign.pub": []byte("-----BEGIN PUBLIC KEY-----\naHVudGVyMg==\n-----END PUBLIC KEY-----\n")},
		"Weak":    {"cosign.pub": keyOf(t, weak).public},
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := signature.CosignKeys(data)
			if !errors.Is(err, signature.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error of the settings without what is in the key", err)
			}
		})
	}
	a, b := newKey(t), newKey(t)
	first, again, other := keysOf(t, a.public).ID(), keysOf(t, a.public).ID(), keysOf(t, b.public).ID()
	if first == other || first != again {
		t.Error("the ID must be that of the keys")
	}
}
