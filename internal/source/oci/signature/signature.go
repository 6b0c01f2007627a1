// Package signature tells whether an artifact in a registry was signed by somebody who is trusted: with Cosign (a public key, or
// Fulcio's short-lived certificates) or with Notation.
//
// A signature counts for the digest that it names, and for nothing else. Nothing is trusted that the caller didn't name: no
// authority of the system, no transparency log of the public.
package signature

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry is what a verifier needs of a registry.
type Registry struct {
	// Puller has the login.
	Puller *remote.Puller
	// Blob marks the context of a request for a blob, which may be larger than a manifest.
	Blob func(context.Context) context.Context
}

// Verdict says what was found.
type Verdict struct {
	// Good is true when a trusted signature was found. It is false, without an error, where a policy says that none is needed.
	Good bool
	// Signer says who signed, as far as that is known: a key's name, an identity, a certificate's subject.
	Signer string
	// Ends is when the signature says that it ends; zero if it doesn't.
	Ends time.Time
}

// Verifier checks the signature of an artifact.
type Verifier interface {
	// ID identifies the verifier and all that it trusts: equal ones come to equal verdicts.
	ID() string
	// Verify checks the artifact with a digest. An error says why no signature is trusted: an [Untrusted], or what the registry said.
	Verify(ctx context.Context, reg Registry, artifact name.Digest) (Verdict, error)
}

// Untrusted says why no signature is trusted.
type Untrusted struct{ Err error }

func (u *Untrusted) Error() string { return u.Err.Error() }

func (u *Untrusted) Unwrap() error { return u.Err }

func untrusted(format string, args ...any) error { return &Untrusted{fmt.Errorf(format, args...)} }

// ErrConfig says that what the object or its Secrets say about signatures can't be used.
var ErrConfig = errors.New("the settings of spec.verify can't be used")

func misconfigured(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrConfig, fmt.Errorf(format, args...))
}

// The most that is looked at for one artifact: a registry that others may push to could hold any number.
const (
	maxSignatures    = 50
	maxSignatureSize = 1 << 20 // bytes, of one payload, bundle or envelope
)

// fetchBlob reads a blob that must be small, and checks its digest.
func fetchBlob(ctx context.Context, reg Registry, repo name.Repository, digest v1.Hash) ([]byte, error) {
	layer, err := reg.Puller.Layer(reg.Blob(ctx), repo.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	content, err := layer.Compressed() // Its reader checks the digest at the end.
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return readSmall(content)
}
