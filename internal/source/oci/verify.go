package oci

import (
	"context"
	"errors"
	"strings"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// verified has the signature of the target checked, unless that was done before by an equal verifier.
func (f *fetch) verified(ctx context.Context, t target) (signature.Verdict, error) {
	if f.verify == nil {
		return signature.Verdict{}, nil
	}
	key := strings.Join([]string{f.verify.ID(), f.repo.Name(), t.digest.String()}, "\x00")
	if known, ok := f.verdicts.get(key); ok {
		return known, nil
	}
	verdict, err := f.verify.Verify(ctx, signature.Registry{Puller: f.conn.puller, Blob: blobContext}, f.at(t.digest))
	var untrusted *signature.Untrusted
	switch {
	case errors.As(err, &untrusted):
		return verdict, failf(ReasonVerification, "the signature of %s can't be trusted: %w: sign it as spec.verify asks, or correct spec.verify; what was fetched before stays in use",
			f.at(t.digest), source.Quote(err))
	case err != nil:
		return verdict, f.classify(err, ReasonVerification, "read the signatures of "+t.digest.String()+" in")
	}
	f.verdicts.put(key, verdict)
	return verdict, nil
}
