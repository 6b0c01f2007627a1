package oci

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/slipway-dev/slipway/internal/source"
)

// Reasons of a [source.Error] that only registries have. All but ReasonVerification are Flux's words for the same.
const (
	// ReasonPull: the registry can't be reached, or doesn't have the artifact.
	ReasonPull = sourcev1.OCIPullFailedReason
	// ReasonLayer: the artifact is there, but its manifest or layer can't be used.
	ReasonLayer = sourcev1.OCILayerOperationFailedReason
	// ReasonTags: the registry's tags can't be listed, or none is in the range.
	ReasonTags = sourcev1.ReadOperationFailedReason
	// ReasonVerification: the artifact has no signature that is trusted.
	ReasonVerification = sourcev1.VerificationError
)

func failf(reason, format string, args ...any) *source.Error {
	return &source.Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// classify turns whatever a registry or the way to it gave into a *[source.Error] that says what to do. what names the
// operation, such as "pull".
func (f *fetch) classify(err error, reason, what string) error {
	var (
		typed    *source.Error
		throttle *throttled
		limit    *source.LimitError
		status   *transport.Error
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
	)
	cause := source.Quote(err, f.auth.secrets()...)
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &limit):
		return &source.Error{Reason: source.ReasonLimitExceeded, Err: limit}
	case errors.As(err, &throttle):
		e := failf(reason, "%s asks to be left alone for %s (%d %s): it is asked again then; raise spec.interval, or log in to have a larger allowance",
			f.repo.RegistryStr(), throttle.after, throttle.status, http.StatusText(throttle.status))
		e.RetryAfter = throttle.after
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return failf(reason, "%s didn't answer in time (%w): check that the registry is well, or raise spec.timeout", f.repo.RegistryStr(), context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return failf(reason, "%s %s was cancelled: %w", what, f.repo, context.Canceled)
	case errors.As(err, &status):
		return f.refused(status, reason, what, cause)
	case errors.As(err, &unknown):
		return failf(reason, "the certificate of %s is signed by an authority that isn't trusted here: put its CA certificate under ca.crt into a Secret and name that in spec.certSecretRef", f.repo.RegistryStr())
	case errors.As(err, &hostname):
		return failf(reason, "the certificate of %s is for another name: %w: correct spec.url, or the registry's certificate", f.repo.RegistryStr(), cause)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return failf(reason, "%s closed the connection: check that spec.url is right and that the registry is well: %w", f.repo.RegistryStr(), cause)
	case errors.Is(err, errPlain), errors.Is(err, http.ErrSchemeMismatch):
		// The last, as plain HTTP is only tried on a private address after TLS has failed for one of the reasons above.
		return failf(reason, "%s only answers without TLS: set spec.insecure if that is what you want", f.repo.RegistryStr())
	}
	return failf(reason, "%s %s: %w", what, f.repo, cause)
}

// refused explains a status of HTTP.
func (f *fetch) refused(status *transport.Error, reason, what string, cause error) error {
	switch code := status.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return failf(source.ReasonAuthenticationFailed, "%s refused %s for %s (%d): check the Secret that spec.secretRef names (or those of spec.serviceAccountName), and that its owner may pull; some registries also answer so when there is no such repository",
			f.repo.RegistryStr(), f.auth.describe(), f.repo, code)
	case code == http.StatusNotFound:
		return failf(reason, "%w: %s has no %s: check spec.url and spec.ref, and that it was pushed", source.ErrRevisionNotFound, f.repo.RegistryStr(), f.wanted())
	case code >= http.StatusInternalServerError:
		return failf(reason, "%s is not well (%d %s); it is asked again", f.repo.RegistryStr(), code, http.StatusText(code))
	}
	return failf(reason, "%s %s: %w", what, f.repo, cause)
}

// layerError gives what the content of a layer is to blame for the reason that Flux has for it.
func layerError(err error) error {
	var typed *source.Error
	if errors.As(err, &typed) && typed.Reason == source.ReasonContentInvalid {
		return &source.Error{Reason: ReasonLayer, Err: typed.Err}
	}
	return err
}
