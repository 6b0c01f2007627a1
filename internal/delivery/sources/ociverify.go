package sources

import (
	"context"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
	"github.com/slipway-dev/slipway/internal/source/oci/signature"
)

// trustedRootKey is the name in a Secret of Sigstore's trusted root.
const trustedRootKey = "trusted_root.json"

// verifier makes spec.verify into something that verifies; nil if nothing is to be verified. Errors have the reason of a signature
// that isn't trusted: without knowing whom to trust nobody is.
func (d ociRepositories) verifier(ctx context.Context, obj *sourcev1.OCIRepository) (signature.Verifier, error) {
	v := obj.Spec.Verify
	if v == nil {
		return nil, nil
	}
	data, err := d.data(ctx, obj, v.SecretRef, "spec.verify.secretRef")
	if err != nil {
		return nil, verification(err)
	}
	trusted, err := d.data(ctx, obj, v.TrustedRootSecretRef, "spec.verify.trustedRootSecretRef")
	if err != nil {
		return nil, verification(err)
	}
	var verifier signature.Verifier
	switch {
	case v.Provider == "notation":
		verifier, err = signature.Notation(data)
	case v.SecretRef != nil:
		verifier, err = signature.CosignKeys(data)
	default:
		identities := make([]signature.Identity, len(v.MatchOIDCIdentity))
		for i, m := range v.MatchOIDCIdentity {
			identities[i] = signature.Identity{Issuer: m.Issuer, Subject: m.Subject}
		}
		if len(trusted[trustedRootKey]) == 0 {
			return nil, verification(fmt.Errorf("the Secret that spec.verify.trustedRootSecretRef names has no %s", trustedRootKey))
		}
		verifier, err = signature.CosignKeyless(identities, trusted[trustedRootKey])
	}
	if err != nil {
		return nil, verification(err)
	}
	return verifier, nil
}

func verification(err error) error { return &source.Error{Reason: oci.ReasonVerification, Err: err} }
