package signature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// judge tells whether a signature that was found is a trusted one.
type judge interface {
	// simple judges a payload and what was signed of it, as Cosign 1 and 2 store them.
	simple(s simpleSignature) (signer string, err error)
	// bundle judges a Sigstore bundle for the artifact, as Cosign 3 stores it.
	bundle(raw []byte, artifact v1.Hash) (signer string, err error)
}

// cosign verifies what 'cosign sign' has made.
type cosign struct {
	judge

	id string
}

// ID implements [Verifier].
func (c *cosign) ID() string { return c.id }

func newID(kind string, parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d\n%s\n", len(p), p)
	}
	return kind + " " + hex.EncodeToString(h.Sum(nil))
}

// Verify implements [Verifier]. Both places are looked at: the bundles that refer to the artifact, and the tag that older
// versions of Cosign use. One good signature is enough; bad ones beside it do no harm, since anybody who may push could add one.
func (c *cosign) Verify(ctx context.Context, reg Registry, artifact name.Digest) (Verdict, error) {
	digest, err := v1.NewHash(artifact.DigestStr())
	if err != nil {
		return Verdict{}, untrusted("%s is no digest", artifact.DigestStr())
	}
	var seen tally
	for _, look := range []func(context.Context, Registry, name.Digest, v1.Hash, *tally) (string, error){c.bundles, c.simples} {
		signer, err := look(ctx, reg, artifact, digest, &seen)
		if err != nil {
			return Verdict{}, err
		}
		if signer != "" {
			return Verdict{Good: true, Signer: signer}, nil
		}
	}
	return Verdict{}, seen.verdict()
}

// tally remembers what was wrong with the signatures that were looked at.
type tally struct {
	count int
	why   []string
}

func (t *tally) bad(err error) {
	t.count++
	if text := err.Error(); len(t.why) < 3 && !slices.Contains(t.why, text) {
		t.why = append(t.why, text)
	}
}

func (t *tally) full() bool { return t.count >= maxSignatures }

func (t *tally) verdict() error {
	switch t.count {
	case 0:
		return untrusted("it has no signature")
	case 1:
		return untrusted("its signature is not trusted: %s", t.why[0])
	}
	return untrusted("none of its %d signatures is trusted: %s", t.count, strings.Join(t.why, "; "))
}

// note tells a fault of a signature from one of the registry: the former goes on with the next one.
func (t *tally) note(err error) error {
	var bad *Untrusted
	if errors.As(err, &bad) {
		t.bad(err)
		return nil
	}
	return err
}
