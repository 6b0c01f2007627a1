package oci

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// verdictLife is how long a signature counts as verified before it is looked at again: it may have been taken back, or its certificate
// may have ended. It is long, because each look asks the registry.
const verdictLife = 24 * time.Hour

// verdict is what was found of a signature, and until when that counts.
type verdict struct {
	signature.Verdict

	until time.Time
}

// goodUntil says how long a verdict of now counts, about a signature that says itself when it ends. Where a policy lets one pass that has
// ended already, that is no reason to look again each time.
func goodUntil(now, ends time.Time) time.Time {
	until := now.Add(verdictLife)
	if ends.After(now) && ends.Before(until) {
		return ends
	}
	return until
}

// verified has the signature of the target checked, unless that was done lately by an equal verifier.
func (f *fetch) verified(ctx context.Context, t target) (signature.Verdict, error) {
	if f.verify == nil {
		return signature.Verdict{}, nil
	}
	key := strings.Join([]string{f.verify.ID(), f.repo.Name(), t.digest.String()}, "\x00")
	now := f.now()
	if known, ok := f.verdicts.get(key); ok && now.Before(known.until) {
		return known.Verdict, nil
	}
	found, err := f.verify.Verify(ctx, signature.Registry{Puller: f.conn.puller, Blob: blobContext}, f.at(t.digest))
	var untrusted *signature.Untrusted
	switch {
	case errors.As(err, &untrusted):
		return found, failf(ReasonVerification, "the signature of %s can't be trusted: %w: sign it as spec.verify asks, or correct spec.verify; what was fetched before stays in use",
			f.at(t.digest), source.Quote(err))
	case err != nil:
		return found, f.classify(err, ReasonVerification, "read the signatures of "+t.digest.String()+" in")
	}
	f.verdicts.put(key, verdict{Verdict: found, until: goodUntil(now, found.Ends)})
	return found, nil
}
